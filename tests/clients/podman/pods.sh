# Pods, and what is written for Kubernetes.

PODS=(pod_shares pod_pid pod_stops play_kube)

pod_shares() {
    p pod create --name pod --network none >/dev/null
    p run -d --pod pod --name one box sleep 100 >/dev/null
    p run -d --pod pod --name two box sleep 100 >/dev/null
    local kind
    for kind in net ipc uts; do
        is "$(p exec one readlink "/proc/self/ns/$kind")" "$(p exec two readlink "/proc/self/ns/$kind")"
    done
    [ "$(p exec one readlink /proc/self/ns/pid)" != "$(p exec two readlink /proc/self/ns/pid)" ]
}

pod_stops() {
    p pod pause pod >/dev/null
    is "$(state_of two)" paused
    p pod unpause pod >/dev/null
    p pod stop -t 0 pod >/dev/null
    is "$(state_of one)" exited
    p pod start pod >/dev/null
    code 0 p exec one true
    p pod rm -f -t 0 pod >/dev/null
}

pod_pid() {
    p pod create --name pids --share pid,net --network none >/dev/null
    p run -d --pod pids --name three box sleep 99 >/dev/null
    has "$(run --pod pids box ps)" 'sleep 99'
    p pod rm -f -t 0 pids >/dev/null
}

play_kube() {
    cat >"$W/kube.yaml" <<END
apiVersion: v1
kind: Pod
metadata:
  name: played
spec:
  hostNetwork: true
  containers:
  - name: main
    image: localhost/box:latest
    command: ["sh", "-c", "echo \$GREETING; sleep 100"]
    env: [{name: GREETING, value: hello}]
    resources: {limits: {memory: 64Mi}}
    securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: empty, mountPath: /empty}]
  volumes: [{name: empty, emptyDir: {}}]
END
    p play kube "$W/kube.yaml" >/dev/null
    soon bash -c 'podman logs played-main | grep hello'
    is "$(p exec played-main id -u)" 1000
    p play kube --down "$W/kube.yaml" >/dev/null
    code 1 p container exists played-main
}
