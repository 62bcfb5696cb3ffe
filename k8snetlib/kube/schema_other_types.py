"""The fields of common kinds that the model skips, in the notation of :mod:`k8snetlib.kube.schema_types`: a slip in one of them is a
mistake in the manifest all the same. Parts that are seldom written by hand are ``any``. Source: the OpenAPI description of Kubernetes 1.36.
"""

from __future__ import annotations

OTHER_TYPES = """
ConfigMap: apiVersion kind metadata:ObjectMeta binaryData:{} data:{} immutable:bool
Secret: apiVersion kind metadata:ObjectMeta data:{} immutable:bool stringData:{} type
ServiceAccount: apiVersion kind metadata:ObjectMeta automountServiceAccountToken:bool imagePullSecrets:[LocalObjectReference]
    secrets:[ObjectReference]
ObjectReference: apiVersion fieldPath kind name namespace resourceVersion uid
LocalObjectReference: name
Role: apiVersion kind metadata:ObjectMeta rules:[PolicyRule]
ClusterRole: apiVersion kind metadata:ObjectMeta aggregationRule:AggregationRule rules:[PolicyRule]
PolicyRule: apiGroups:[] nonResourceURLs:[] resourceNames:[] resources:[] verbs!:[]
AggregationRule: clusterRoleSelectors:[LabelSelector]
RoleBinding: apiVersion kind metadata:ObjectMeta roleRef!:RoleRef subjects:[Subject]
ClusterRoleBinding: apiVersion kind metadata:ObjectMeta roleRef!:RoleRef subjects:[Subject]
RoleRef: apiGroup kind! name!
Subject: apiGroup kind! name! namespace
PersistentVolume: apiVersion kind metadata:ObjectMeta spec:any status:any
StorageClass: apiVersion kind metadata:ObjectMeta allowVolumeExpansion:bool allowedTopologies:any mountOptions:[] parameters:{}
    provisioner! reclaimPolicy volumeBindingMode
PodDisruptionBudget: apiVersion kind metadata:ObjectMeta spec:PodDisruptionBudgetSpec status:any
PodDisruptionBudgetSpec: maxUnavailable:intstr minAvailable:intstr selector:LabelSelector unhealthyPodEvictionPolicy
HorizontalPodAutoscaler: apiVersion kind metadata:ObjectMeta spec:any status:any
CronJob: apiVersion kind metadata:ObjectMeta spec:CronJobSpec status:any
CronJobSpec: concurrencyPolicy=Allow|Forbid|Replace failedJobsHistoryLimit:int jobTemplate!:JobTemplateSpec schedule!
    startingDeadlineSeconds:long successfulJobsHistoryLimit:int suspend:bool timeZone
JobTemplateSpec: metadata:ObjectMeta spec:JobSpec
PodTemplate: apiVersion kind metadata:ObjectMeta template:PodTemplateSpec
PriorityClass: apiVersion kind metadata:ObjectMeta description globalDefault:bool preemptionPolicy=Never|PreemptLowerPriority value!:int
ResourceQuota: apiVersion kind metadata:ObjectMeta spec:ResourceQuotaSpec status:any
ResourceQuotaSpec: hard:{quantity} scopeSelector:any scopes:[]
LimitRange: apiVersion kind metadata:ObjectMeta spec:any
CustomResourceDefinition: apiVersion kind metadata:ObjectMeta spec:any status:any
"""
