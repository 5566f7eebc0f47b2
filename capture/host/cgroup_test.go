package host

import (
	"strings"
	"testing"
)

const (
	id     = "4f1d8f3b6c2e7a905d4e3c2b1a0f9e8d7c6b5a4938271605f4e3d2c1b0a99887"
	podUID = "8d2c1f3a-77aa-4b1e-9c0d-0123456789ab"
)

// Paths as the engines document them or as they are found on hosts; ID, POD
// and POD_ stand for a container's ID and a pod's UID, with _ for -.
func TestLocate(t *testing.T) {
	const short = "4f1d8f3b6c2e"
	for _, tc := range []struct {
		path string
		want placement
	}{
		{"/", placement{}},
		{"/user.slice/user-1000.slice/session-3.scope", placement{unit: "session-3.scope"}},
		{"/system.slice/nginx.service", placement{unit: "nginx.service"}},
		{"/docker/ID", placement{container: short, runtime: "docker"}},
		{"/system.slice/docker-ID.scope", placement{container: short, runtime: "docker"}},
		{"/system.slice/docker.service", placement{unit: "docker.service"}},
		{"/docker/ID/init.scope", placement{container: short, runtime: "docker"}},
		{"/docker/ID/system.slice/cron.service", placement{container: short, runtime: "docker", unit: "cron.service"}},
		{"/actions_job/ID", placement{container: short, runtime: "docker"}},
		{"/machine.slice/libpod-ID.scope", placement{container: short, runtime: "podman"}},
		{"/machine.slice/libpod-ID.scope/container", placement{container: short, runtime: "podman"}},
		{"/machine.slice/libpod-conmon-ID.scope", placement{unit: "libpod-conmon-ID.scope"}},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope",
			placement{container: short, runtime: "podman", unit: ""}},
		{"/libpod_parent/libpod-ID", placement{container: short, runtime: "podman"}},
		{"/system.slice/containerd.service/kubepods-burstable-podPOD_.slice:cri-containerd:ID",
			placement{container: short, runtime: "containerd", pod: podUID, unit: "containerd.service"}},
		{"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podPOD_.slice/cri-containerd-ID.scope",
			placement{container: short, runtime: "containerd", pod: podUID}},
		{"/kubepods.slice/kubepods-podPOD_.slice/crio-ID.scope", placement{container: short, runtime: "cri-o", pod: podUID}},
		{"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podPOD_.slice/crio-conmon-ID.scope",
			placement{pod: podUID, unit: "crio-conmon-ID.scope"}},
		{"/kubepods/burstable/podPOD/ID", placement{container: short, pod: podUID}},
		{"/kubepods/pod0123456789abcdef0123456789abcdef/ID", placement{container: short, pod: "0123456789abcdef0123456789abcdef"}},
		{"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podPOD_.slice/cri-containerd-ID.scope",
			placement{container: short, runtime: "containerd", pod: podUID}},
		{"/docker/0000000000000000000000000000000000000000000000000000000000000000/kubepods/podPOD/ID",
			placement{container: short, pod: podUID}},
		{"/lxc.payload.web/system.slice/apache2.service", placement{container: "web", runtime: "lxc", unit: "apache2.service"}},
		{`/machine.slice/machine-my\x2dbox.scope/payload`, placement{container: "my-box", runtime: "systemd-nspawn"}},
		{"/ID", placement{container: short}},
		{"/podcast.service", placement{unit: "podcast.service"}},
		{"/deadbeef", placement{}},
	} {
		expand := strings.NewReplacer("POD_", strings.ReplaceAll(podUID, "-", "_"), "POD", podUID, "ID", id)
		want := tc.want
		want.unit = expand.Replace(want.unit)
		if got := locate(expand.Replace(tc.path)); got != want {
			t.Errorf("%s: %+v, want %+v", tc.path, got, want)
		}
	}
}

func TestGroupPath(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "",
		"0::/\n":                       "/",
		"0::/system.slice/a.service\n": "/system.slice/a.service",
		"12:memory:/docker/x\n1:name=systemd:/docker/y\n": "/docker/y",
		"12:memory:/docker/x\n1:name=systemd:/\n0::/\n":   "/docker/x",
		"3:cpu,cpuacct:/a:b\n":                            "/a:b",
		"nonsense\n0::/a\n":                               "/a",
	} {
		if got := groupPath(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzLocate(f *testing.F) {
	f.Add("/kubepods.slice/kubepods-podx.slice/crio-" + id + ".scope")
	f.Add("/a:b:" + id)
	f.Fuzz(func(t *testing.T, path string) {
		if p := locate(path); p.runtime != "" && p.container == "" {
			t.Errorf("%q: %+v", path, p)
		}
	})
}
