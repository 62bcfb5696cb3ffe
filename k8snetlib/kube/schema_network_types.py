"""The fields of the network kinds that :mod:`k8snetlib.kube.apiserver` validates, in the notation of :mod:`k8snetlib.kube.schema_types`.

Required fields and enumerations are left to the validation, which reports all mistakes of an object together, as the API server does.
"""

from __future__ import annotations

NETWORK_TYPES = """
EndpointSlice: addressType apiVersion endpoints:[Endpoint] kind metadata:ObjectMeta ports:[EndpointPort]
Endpoint: addresses:[] conditions:EndpointConditions deprecatedTopology:{} hints:EndpointHints hostname nodeName
    targetRef:ObjectReference zone
EndpointConditions: ready:bool serving:bool terminating:bool
EndpointHints: forNodes:[ForNode] forZones:[ForZone]
ForNode: name
ForZone: name
EndpointPort: appProtocol name port:int protocol
Endpoints: apiVersion kind metadata:ObjectMeta subsets:[EndpointSubset]
EndpointSubset: addresses:[EndpointAddress] notReadyAddresses:[EndpointAddress] ports:[EndpointPort]
EndpointAddress: hostname ip nodeName targetRef:ObjectReference
ObjectReference: apiVersion fieldPath kind name namespace resourceVersion uid
Ingress: apiVersion kind metadata:ObjectMeta spec:IngressSpec status:IngressStatus
IngressSpec: defaultBackend:IngressBackend ingressClassName rules:[IngressRule] tls:[IngressTLS]
IngressBackend: resource:IngressResource service:IngressServiceBackend
IngressResource: apiGroup kind name
IngressServiceBackend: name port:ServiceBackendPort
ServiceBackendPort: name number:int
IngressRule: host http:HTTPIngressRuleValue
HTTPIngressRuleValue: paths:[HTTPIngressPath]
HTTPIngressPath: backend:IngressBackend path pathType
IngressTLS: hosts:[] secretName
IngressStatus: loadBalancer:LoadBalancerStatus
IngressClass: apiVersion kind metadata:ObjectMeta spec:IngressClassSpec
IngressClassSpec: controller parameters:IngressClassParameters
IngressClassParameters: apiGroup kind name namespace scope
NetworkPolicy: apiVersion kind metadata:ObjectMeta spec:NetworkPolicySpec
NetworkPolicySpec: egress:[NetworkPolicyEgressRule] ingress:[NetworkPolicyIngressRule] podSelector:PolicySelector policyTypes:[]
NetworkPolicyIngressRule: from:[NetworkPolicyPeer] ports:[NetworkPolicyPort]
NetworkPolicyEgressRule: ports:[NetworkPolicyPort] to:[NetworkPolicyPeer]
NetworkPolicyPeer: ipBlock:IPBlock namespaceSelector:PolicySelector podSelector:PolicySelector
NetworkPolicyPort: endPort:int port:intstr protocol
IPBlock: cidr except:[]
PolicySelector: matchExpressions:[PolicySelectorRequirement] matchLabels:{}
PolicySelectorRequirement: key operator values:[]
"""
