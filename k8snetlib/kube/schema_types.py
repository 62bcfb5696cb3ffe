"""The fields of the Kubernetes 1.36 types that the model reads, deep parts included. Data only; :mod:`k8snetlib.kube.schema` reads it.

One type a section: ``field`` is a string, ``field:type`` anything else, ``field=A|B`` one of those strings (or ``""``, which means unset).
``!`` marks a required field, ``[T]`` a list and ``{T}`` a map of T (of strings if T is left out), ``+Type`` includes another type's fields.
``int`` has 32 bits, ``long`` 64; ``mode`` is an integer that may be octal; ``intstr`` is a number or a string, and so is a ``quantity``
(``0.5``, ``"100Mi"``); ``any`` is anything. Source: the published OpenAPI description of Kubernetes 1.36. Nothing is required in a status,
since a cluster fills it in bit by bit. Of the kinds that :mod:`k8snetlib.kube.apiserver` validates, nothing is required or enumerated here
either: it reports all such mistakes of an object at once, as the API server does.
"""

from __future__ import annotations

SPEC_TYPES = """
Pod: apiVersion kind metadata:ObjectMeta spec:PodSpec status:PodStatus
Service: apiVersion kind metadata:ObjectMeta spec:ServiceSpec status:ServiceStatus
Node: apiVersion kind metadata:ObjectMeta spec:NodeSpec status:NodeStatus
Namespace: apiVersion kind metadata:ObjectMeta spec:NamespaceSpec status:NamespaceStatus
Deployment: apiVersion kind metadata:ObjectMeta spec:DeploymentSpec status:DeploymentStatus
ReplicaSet: apiVersion kind metadata:ObjectMeta spec:ReplicaSetSpec status:ReplicaSetStatus
StatefulSet: apiVersion kind metadata:ObjectMeta spec:StatefulSetSpec status:StatefulSetStatus
DaemonSet: apiVersion kind metadata:ObjectMeta spec:DaemonSetSpec status:DaemonSetStatus
Job: apiVersion kind metadata:ObjectMeta spec:JobSpec status:JobStatus
ReplicationController: apiVersion kind metadata:ObjectMeta spec:ReplicationControllerSpec status:ReplicationControllerStatus
ObjectMeta: annotations:{} creationTimestamp deletionGracePeriodSeconds:long deletionTimestamp finalizers:[] generateName
    generation:long labels:{} managedFields:[ManagedFieldsEntry] name namespace ownerReferences:[OwnerReference] resourceVersion
    selfLink uid
PodSpec: activeDeadlineSeconds:long affinity:Affinity automountServiceAccountToken:bool containers!:[Container]
    dnsConfig:PodDNSConfig dnsPolicy=ClusterFirst|ClusterFirstWithHostNet|Default|None enableServiceLinks:bool
    ephemeralContainers:[EphemeralContainer] hostAliases:[HostAlias] hostIPC:bool hostNetwork:bool hostPID:bool hostUsers:bool
    hostname hostnameOverride imagePullSecrets:[LocalObjectReference] initContainers:[Container] nodeName nodeSelector:{}
    os:PodOS overhead:{quantity} preemptionPolicy=Never|PreemptLowerPriority priority:int priorityClassName
    readinessGates:[PodReadinessGate] resourceClaims:[PodResourceClaim] resources:ResourceRequirements
    restartPolicy=Always|Never|OnFailure runtimeClassName schedulerName schedulingGates:[PodSchedulingGate]
    schedulingGroup:PodSchedulingGroup securityContext:PodSecurityContext serviceAccount serviceAccountName setHostnameAsFQDN:bool
    shareProcessNamespace:bool subdomain terminationGracePeriodSeconds:long tolerations:[Toleration]
    topologySpreadConstraints:[TopologySpreadConstraint] volumes:[Volume]
ServiceSpec: allocateLoadBalancerNodePorts:bool clusterIP clusterIPs:[] externalIPs:[] externalName externalTrafficPolicy
    healthCheckNodePort:int internalTrafficPolicy ipFamilies:[] ipFamilyPolicy loadBalancerClass loadBalancerIP
    loadBalancerSourceRanges:[] ports:[ServicePort] publishNotReadyAddresses:bool selector:{} sessionAffinity
    sessionAffinityConfig:SessionAffinityConfig trafficDistribution type
NodeSpec: configSource:NodeConfigSource externalID podCIDR podCIDRs:[] providerID taints:[Taint] unschedulable:bool
NamespaceSpec: finalizers:[]
DeploymentSpec: minReadySeconds:int paused:bool progressDeadlineSeconds:int replicas:int revisionHistoryLimit:int
    selector!:LabelSelector strategy:DeploymentStrategy template!:PodTemplateSpec
ReplicaSetSpec: minReadySeconds:int replicas:int selector!:LabelSelector template:PodTemplateSpec
StatefulSetSpec: minReadySeconds:int ordinals:StatefulSetOrdinals
    persistentVolumeClaimRetentionPolicy:StatefulSetPersistentVolumeClaimRetentionPolicy podManagementPolicy=OrderedReady|Parallel
    replicas:int revisionHistoryLimit:int selector!:LabelSelector serviceName template!:PodTemplateSpec
    updateStrategy:StatefulSetUpdateStrategy volumeClaimTemplates:[PersistentVolumeClaim]
DaemonSetSpec: minReadySeconds:int revisionHistoryLimit:int selector!:LabelSelector template!:PodTemplateSpec
    updateStrategy:DaemonSetUpdateStrategy
JobSpec: activeDeadlineSeconds:long backoffLimit:int backoffLimitPerIndex:int completionMode=Indexed|NonIndexed completions:int
    managedBy manualSelector:bool maxFailedIndexes:int parallelism:int podFailurePolicy:PodFailurePolicy
    podReplacementPolicy=Failed|TerminatingOrFailed selector:LabelSelector successPolicy:SuccessPolicy suspend:bool
    template!:PodTemplateSpec ttlSecondsAfterFinished:int
ReplicationControllerSpec: minReadySeconds:int replicas:int selector:{} template:PodTemplateSpec
ManagedFieldsEntry: apiVersion fieldsType fieldsV1:any manager operation subresource time
OwnerReference: apiVersion! blockOwnerDeletion:bool controller:bool kind! name! uid!
Affinity: nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAntiAffinity
Container: args:[] command:[] env:[EnvVar] envFrom:[EnvFromSource] image imagePullPolicy=Always|IfNotPresent|Never
    lifecycle:Lifecycle livenessProbe:Probe name! ports:[ContainerPort] readinessProbe:Probe
    resizePolicy:[ContainerResizePolicy] resources:ResourceRequirements restartPolicy=Always|Never|OnFailure
    restartPolicyRules:[ContainerRestartRule] securityContext:SecurityContext startupProbe:Probe stdin:bool stdinOnce:bool
    terminationMessagePath terminationMessagePolicy=FallbackToLogsOnError|File tty:bool volumeDevices:[VolumeDevice]
    volumeMounts:[VolumeMount] workingDir
PodDNSConfig: nameservers:[] options:[PodDNSConfigOption] searches:[]
EphemeralContainer: +Container targetContainerName
HostAlias: hostnames:[] ip!
LocalObjectReference: name
PodOS: name!
PodReadinessGate: conditionType!
PodResourceClaim: name! resourceClaimName resourceClaimTemplateName
ResourceRequirements: claims:[ResourceClaim] limits:{quantity} requests:{quantity}
PodSchedulingGate: name!
PodSchedulingGroup: podGroupName
PodSecurityContext: appArmorProfile:AppArmorProfile fsGroup:long fsGroupChangePolicy runAsGroup:long runAsNonRoot:bool runAsUser:long
    seLinuxChangePolicy seLinuxOptions:SELinuxOptions seccompProfile:SeccompProfile supplementalGroups:[long] supplementalGroupsPolicy
    sysctls:[Sysctl] windowsOptions:WindowsSecurityContextOptions
Toleration: effect=NoExecute|NoSchedule|PreferNoSchedule key operator=Equal|Exists|Gt|Lt tolerationSeconds:long value
TopologySpreadConstraint: labelSelector:LabelSelector matchLabelKeys:[] maxSkew!:int minDomains:int nodeAffinityPolicy=Honor|Ignore
    nodeTaintsPolicy=Honor|Ignore topologyKey! whenUnsatisfiable!=DoNotSchedule|ScheduleAnyway
Volume: awsElasticBlockStore:AWSElasticBlockStoreVolumeSource azureDisk:AzureDiskVolumeSource azureFile:AzureFileVolumeSource
    cephfs:CephFSVolumeSource cinder:CinderVolumeSource configMap:ConfigMapVolumeSource csi:CSIVolumeSource
    downwardAPI:DownwardAPIVolumeSource emptyDir:EmptyDirVolumeSource ephemeral:EphemeralVolumeSource fc:FCVolumeSource
    flexVolume:FlexVolumeSource flocker:FlockerVolumeSource gcePersistentDisk:GCEPersistentDiskVolumeSource gitRepo:GitRepoVolumeSource
    glusterfs:GlusterfsVolumeSource hostPath:HostPathVolumeSource image:ImageVolumeSource iscsi:ISCSIVolumeSource name!
    nfs:NFSVolumeSource persistentVolumeClaim:PersistentVolumeClaimVolumeSource photonPersistentDisk:PhotonPersistentDiskVolumeSource
    portworxVolume:PortworxVolumeSource projected:ProjectedVolumeSource quobyte:QuobyteVolumeSource rbd:RBDVolumeSource
    scaleIO:ScaleIOVolumeSource secret:SecretVolumeSource storageos:StorageOSVolumeSource vsphereVolume:VsphereVirtualDiskVolumeSource
ServicePort: appProtocol name nodePort:int port:int protocol targetPort:intstr
SessionAffinityConfig: clientIP:ClientIPConfig
NodeConfigSource: configMap:ConfigMapNodeConfigSource
Taint: effect!=NoExecute|NoSchedule|PreferNoSchedule key! timeAdded value
LabelSelector: matchExpressions:[LabelSelectorRequirement] matchLabels:{}
DeploymentStrategy: rollingUpdate:RollingUpdateDeployment type=Recreate|RollingUpdate
PodTemplateSpec: metadata:ObjectMeta spec:PodSpec
StatefulSetOrdinals: start:int
StatefulSetPersistentVolumeClaimRetentionPolicy: whenDeleted whenScaled
StatefulSetUpdateStrategy: rollingUpdate:RollingUpdateStatefulSetStrategy type=OnDelete|RollingUpdate
PersistentVolumeClaim: apiVersion kind metadata:ObjectMeta spec:PersistentVolumeClaimSpec status:PersistentVolumeClaimStatus
DaemonSetUpdateStrategy: rollingUpdate:RollingUpdateDaemonSet type=OnDelete|RollingUpdate
PodFailurePolicy: rules!:[PodFailurePolicyRule]
SuccessPolicy: rules!:[SuccessPolicyRule]
NodeAffinity: preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]
    requiredDuringSchedulingIgnoredDuringExecution:NodeSelector
PodAffinity: preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
PodAntiAffinity: preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]
    requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm]
EnvVar: name! value valueFrom:EnvVarSource
EnvFromSource: configMapRef:ConfigMapEnvSource prefix secretRef:SecretEnvSource
Lifecycle: postStart:LifecycleHandler preStop:LifecycleHandler stopSignal
Probe: exec:ExecAction failureThreshold:int grpc:GRPCAction httpGet:HTTPGetAction initialDelaySeconds:int periodSeconds:int
    successThreshold:int tcpSocket:TCPSocketAction terminationGracePeriodSeconds:long timeoutSeconds:int
ContainerPort: containerPort!:int hostIP hostPort:int name protocol=SCTP|TCP|UDP
ContainerResizePolicy: resourceName! restartPolicy!
ContainerRestartRule: action! exitCodes:ContainerRestartRuleOnExitCodes
SecurityContext: allowPrivilegeEscalation:bool appArmorProfile:AppArmorProfile capabilities:Capabilities privileged:bool procMount
    readOnlyRootFilesystem:bool runAsGroup:long runAsNonRoot:bool runAsUser:long seLinuxOptions:SELinuxOptions
    seccompProfile:SeccompProfile windowsOptions:WindowsSecurityContextOptions
VolumeDevice: devicePath! name!
VolumeMount: mountPath! mountPropagation name! readOnly:bool recursiveReadOnly subPath subPathExpr
PodDNSConfigOption: name value
ResourceClaim: name! request
AppArmorProfile: localhostProfile type!
SELinuxOptions: level role type user
SeccompProfile: localhostProfile type!
Sysctl: name! value!
WindowsSecurityContextOptions: gmsaCredentialSpec gmsaCredentialSpecName hostProcess:bool runAsUserName
AWSElasticBlockStoreVolumeSource: fsType partition:int readOnly:bool volumeID!
AzureDiskVolumeSource: cachingMode diskName! diskURI! fsType kind readOnly:bool
AzureFileVolumeSource: readOnly:bool secretName! shareName!
CephFSVolumeSource: monitors!:[] path readOnly:bool secretFile secretRef:LocalObjectReference user
CinderVolumeSource: fsType readOnly:bool secretRef:LocalObjectReference volumeID!
ConfigMapVolumeSource: defaultMode:mode items:[KeyToPath] name optional:bool
CSIVolumeSource: driver! fsType nodePublishSecretRef:LocalObjectReference readOnly:bool volumeAttributes:{}
DownwardAPIVolumeSource: defaultMode:mode items:[DownwardAPIVolumeFile]
EmptyDirVolumeSource: medium sizeLimit:quantity
EphemeralVolumeSource: volumeClaimTemplate:PersistentVolumeClaimTemplate
FCVolumeSource: fsType lun:int readOnly:bool targetWWNs:[] wwids:[]
FlexVolumeSource: driver! fsType options:{} readOnly:bool secretRef:LocalObjectReference
FlockerVolumeSource: datasetName datasetUUID
GCEPersistentDiskVolumeSource: fsType partition:int pdName! readOnly:bool
GitRepoVolumeSource: directory repository! revision
GlusterfsVolumeSource: endpoints! path! readOnly:bool
HostPathVolumeSource: path! type
ImageVolumeSource: pullPolicy reference
ISCSIVolumeSource: chapAuthDiscovery:bool chapAuthSession:bool fsType initiatorName iqn! iscsiInterface lun!:int portals:[]
    readOnly:bool secretRef:LocalObjectReference targetPortal!
NFSVolumeSource: path! readOnly:bool server!
PersistentVolumeClaimVolumeSource: claimName! readOnly:bool
PhotonPersistentDiskVolumeSource: fsType pdID!
PortworxVolumeSource: fsType readOnly:bool volumeID!
ProjectedVolumeSource: defaultMode:mode sources:[VolumeProjection]
QuobyteVolumeSource: group readOnly:bool registry! tenant user volume!
RBDVolumeSource: fsType image! keyring monitors!:[] pool readOnly:bool secretRef:LocalObjectReference user
ScaleIOVolumeSource: fsType gateway! protectionDomain readOnly:bool secretRef!:LocalObjectReference sslEnabled:bool storageMode
    storagePool system! volumeName
SecretVolumeSource: defaultMode:mode items:[KeyToPath] optional:bool secretName
StorageOSVolumeSource: fsType readOnly:bool secretRef:LocalObjectReference volumeName volumeNamespace
VsphereVirtualDiskVolumeSource: fsType storagePolicyID storagePolicyName volumePath!
ClientIPConfig: timeoutSeconds:int
ConfigMapNodeConfigSource: kubeletConfigKey! name! namespace! resourceVersion uid
LabelSelectorRequirement: key! operator!=DoesNotExist|Exists|In|NotIn values:[]
RollingUpdateDeployment: maxSurge:intstr maxUnavailable:intstr
RollingUpdateStatefulSetStrategy: maxUnavailable:intstr partition:int
PersistentVolumeClaimSpec: accessModes:[] dataSource:TypedLocalObjectReference dataSourceRef:TypedObjectReference
    resources:VolumeResourceRequirements selector:LabelSelector storageClassName volumeAttributesClassName volumeMode volumeName
RollingUpdateDaemonSet: maxSurge:intstr maxUnavailable:intstr
PodFailurePolicyRule: action! onExitCodes:PodFailurePolicyOnExitCodesRequirement
    onPodConditions:[PodFailurePolicyOnPodConditionsPattern]
SuccessPolicyRule: succeededCount:int succeededIndexes
PreferredSchedulingTerm: preference!:NodeSelectorTerm weight!:int
NodeSelector: nodeSelectorTerms!:[NodeSelectorTerm]
WeightedPodAffinityTerm: podAffinityTerm!:PodAffinityTerm weight!:int
PodAffinityTerm: labelSelector:LabelSelector matchLabelKeys:[] mismatchLabelKeys:[] namespaceSelector:LabelSelector
    namespaces:[] topologyKey!
EnvVarSource: configMapKeyRef:ConfigMapKeySelector fieldRef:ObjectFieldSelector fileKeyRef:FileKeySelector
    resourceFieldRef:ResourceFieldSelector secretKeyRef:SecretKeySelector
ConfigMapEnvSource: name optional:bool
SecretEnvSource: name optional:bool
LifecycleHandler: exec:ExecAction httpGet:HTTPGetAction sleep:SleepAction tcpSocket:TCPSocketAction
ExecAction: command:[]
GRPCAction: port!:int service
HTTPGetAction: host httpHeaders:[HTTPHeader] path port!:intstr scheme=HTTP|HTTPS
TCPSocketAction: host port!:intstr
ContainerRestartRuleOnExitCodes: operator! values:[int]
Capabilities: add:[] drop:[]
KeyToPath: key! mode:mode path!
DownwardAPIVolumeFile: fieldRef:ObjectFieldSelector mode:mode path! resourceFieldRef:ResourceFieldSelector
PersistentVolumeClaimTemplate: metadata:ObjectMeta spec!:PersistentVolumeClaimSpec
VolumeProjection: clusterTrustBundle:ClusterTrustBundleProjection configMap:ConfigMapProjection downwardAPI:DownwardAPIProjection
    podCertificate:PodCertificateProjection secret:SecretProjection serviceAccountToken:ServiceAccountTokenProjection
TypedLocalObjectReference: apiGroup kind! name!
TypedObjectReference: apiGroup kind! name! namespace
VolumeResourceRequirements: limits:{quantity} requests:{quantity}
PodFailurePolicyOnExitCodesRequirement: containerName operator! values!:[int]
PodFailurePolicyOnPodConditionsPattern: status type!
NodeSelectorTerm: matchExpressions:[NodeSelectorRequirement] matchFields:[NodeSelectorRequirement]
ConfigMapKeySelector: key! name optional:bool
ObjectFieldSelector: apiVersion fieldPath!
FileKeySelector: key! optional:bool path! volumeName!
ResourceFieldSelector: containerName divisor:quantity resource!
SecretKeySelector: key! name optional:bool
SleepAction: seconds!:long
HTTPHeader: name! value!
ClusterTrustBundleProjection: labelSelector:LabelSelector name optional:bool path! signerName
ConfigMapProjection: items:[KeyToPath] name optional:bool
DownwardAPIProjection: items:[DownwardAPIVolumeFile]
PodCertificateProjection: certificateChainPath credentialBundlePath keyPath keyType! maxExpirationSeconds:int signerName!
    userAnnotations:{}
SecretProjection: items:[KeyToPath] name optional:bool
ServiceAccountTokenProjection: audience expirationSeconds:long path!
NodeSelectorRequirement: key! operator!=DoesNotExist|Exists|Gt|In|Lt|NotIn values:[]
"""

STATUS_TYPES = """
PodStatus: allocatedResources:{quantity} conditions:[PodCondition] containerStatuses:[ContainerStatus]
    ephemeralContainerStatuses:[ContainerStatus] extendedResourceClaimStatus:PodExtendedResourceClaimStatus hostIP
    hostIPs:[HostIP] initContainerStatuses:[ContainerStatus] message
    nodeAllocatableResourceClaimStatuses:[NodeAllocatableResourceClaimStatus] nominatedNodeName observedGeneration:long
    phase=Failed|Pending|Running|Succeeded|Unknown podIP podIPs:[PodIP] qosClass reason resize
    resourceClaimStatuses:[PodResourceClaimStatus] resources:ResourceRequirements startTime
ServiceStatus: conditions:[Condition] loadBalancer:LoadBalancerStatus
NodeStatus: addresses:[NodeAddress] allocatable:{quantity} capacity:{quantity} conditions:[NodeCondition]
    config:NodeConfigStatus daemonEndpoints:NodeDaemonEndpoints declaredFeatures:[] features:NodeFeatures
    images:[ContainerImage] nodeInfo:NodeSystemInfo phase runtimeHandlers:[NodeRuntimeHandler]
    volumesAttached:[AttachedVolume] volumesInUse:[]
NamespaceStatus: conditions:[NamespaceCondition] phase
DeploymentStatus: availableReplicas:int collisionCount:int conditions:[DeploymentCondition] observedGeneration:long
    readyReplicas:int replicas:int terminatingReplicas:int unavailableReplicas:int updatedReplicas:int
ReplicaSetStatus: availableReplicas:int conditions:[ReplicaSetCondition] fullyLabeledReplicas:int observedGeneration:long
    readyReplicas:int replicas:int terminatingReplicas:int
StatefulSetStatus: availableReplicas:int collisionCount:int conditions:[StatefulSetCondition] currentReplicas:int currentRevision
    observedGeneration:long readyReplicas:int replicas:int updateRevision updatedReplicas:int
DaemonSetStatus: collisionCount:int conditions:[DaemonSetCondition] currentNumberScheduled:int desiredNumberScheduled:int
    numberAvailable:int numberMisscheduled:int numberReady:int numberUnavailable:int observedGeneration:long updatedNumberScheduled:int
JobStatus: active:int completedIndexes completionTime conditions:[JobCondition] failed:int failedIndexes ready:int startTime
    succeeded:int terminating:int uncountedTerminatedPods:UncountedTerminatedPods
ReplicationControllerStatus: availableReplicas:int conditions:[ReplicationControllerCondition] fullyLabeledReplicas:int
    observedGeneration:long readyReplicas:int replicas:int
PodCondition: lastProbeTime lastTransitionTime message observedGeneration:long reason status type
ContainerStatus: allocatedResources:{quantity} allocatedResourcesStatus:[ResourceStatus] containerID image imageID
    lastState:ContainerState name ready:bool resources:ResourceRequirements restartCount:int started:bool state:ContainerState
    stopSignal user:ContainerUser volumeMounts:[VolumeMountStatus]
PodExtendedResourceClaimStatus: requestMappings:[ContainerExtendedResourceRequest] resourceClaimName
HostIP: ip
NodeAllocatableResourceClaimStatus: containers:[] resourceClaimName resources:{quantity}
PodIP: ip
PodResourceClaimStatus: name resourceClaimName
Condition: lastTransitionTime message observedGeneration:long reason status type
LoadBalancerStatus: ingress:[LoadBalancerIngress]
NodeAddress: address type
NodeCondition: lastHeartbeatTime lastTransitionTime message reason status type
NodeConfigStatus: active:NodeConfigSource assigned:NodeConfigSource error lastKnownGood:NodeConfigSource
NodeDaemonEndpoints: kubeletEndpoint:DaemonEndpoint
NodeFeatures: supplementalGroupsPolicy:bool
ContainerImage: names:[] sizeBytes:long
NodeSystemInfo: architecture bootID containerRuntimeVersion kernelVersion kubeProxyVersion kubeletVersion machineID operatingSystem
    osImage swap:NodeSwapStatus systemUUID
NodeRuntimeHandler: features:NodeRuntimeHandlerFeatures name
AttachedVolume: devicePath name
NamespaceCondition: lastTransitionTime message reason status type
DeploymentCondition: lastTransitionTime lastUpdateTime message reason status type
ReplicaSetCondition: lastTransitionTime message reason status type
StatefulSetCondition: lastTransitionTime message reason status type
DaemonSetCondition: lastTransitionTime message reason status type
JobCondition: lastProbeTime lastTransitionTime message reason status type
UncountedTerminatedPods: failed:[] succeeded:[]
ReplicationControllerCondition: lastTransitionTime message reason status type
ResourceStatus: name resources:[ResourceHealth]
ContainerState: running:ContainerStateRunning terminated:ContainerStateTerminated waiting:ContainerStateWaiting
ContainerUser: linux:LinuxContainerUser
VolumeMountStatus: mountPath name readOnly:bool recursiveReadOnly volumeStatus:VolumeStatus
ContainerExtendedResourceRequest: containerName requestName resourceName
LoadBalancerIngress: hostname ip ipMode=Proxy|VIP ports:[PortStatus]
DaemonEndpoint: Port:int
NodeSwapStatus: capacity:long
NodeRuntimeHandlerFeatures: recursiveReadOnlyMounts:bool userNamespaces:bool
PersistentVolumeClaimStatus: accessModes:[] allocatedResourceStatuses:{} allocatedResources:{quantity} capacity:{quantity}
    conditions:[PersistentVolumeClaimCondition] currentVolumeAttributesClassName modifyVolumeStatus:ModifyVolumeStatus phase
ResourceHealth: health message resourceID
ContainerStateRunning: startedAt
ContainerStateTerminated: containerID exitCode:int finishedAt message reason signal:int startedAt
ContainerStateWaiting: message reason
LinuxContainerUser: gid:long supplementalGroups:[long] uid:long
VolumeStatus: image:ImageVolumeStatus
PortStatus: error port:int protocol
PersistentVolumeClaimCondition: lastProbeTime lastTransitionTime message reason status type
ModifyVolumeStatus: status targetVolumeAttributesClassName
ImageVolumeStatus: imageRef
"""
