package host

import "strings"

// placement is what the path of a control group tells.
type placement struct {
	container, runtime, pod, unit string
}

// shortID is how much of a container's ID its tools print.
const shortID = 12

// scopes are the names that container engines give their systemd scopes, and
// the engine. A bare ID, as the cgroupfs drivers have it, is told by its
// parent directory.
var scopes = [...]struct{ prefix, runtime string }{
	{"docker-", "docker"},
	{"cri-containerd-", "containerd"},
	{"nerdctl-", "containerd"},
	{"crio-", "cri-o"},
	{"libpod-", "podman"},
	{"containerd-", "containerd"},
}

// parents are directories below which a bare ID is a container's.
var parents = [...]struct{ name, runtime string }{
	{"docker", "docker"},
	{"libpod_parent", "podman"},
	{"machine.slice", "podman"},
	{"crio", "cri-o"},
	{"garden", "garden"},
	{"actions_job", "docker"},
}

// locate reads the path of a control group from its leaf to its root: the
// innermost container is the one that a process is in.
func locate(path string) placement {
	var p placement
	parts := strings.Split(strings.Trim(path, "/"), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		part, parent := parts[i], ""
		if i > 0 {
			parent = parts[i-1]
		}
		if p.container == "" {
			p.container, p.runtime = container(part, parent)
		}
		if p.pod == "" {
			p.pod = pod(part)
		}
		if p.unit == "" && (strings.HasSuffix(part, ".service") || strings.HasSuffix(part, ".scope")) {
			p.unit = part
		}
	}
	if p.container != "" && strings.HasSuffix(p.unit, ".scope") {
		p.unit = "" // the container's own scope says nothing more
	}
	return p
}

// container recognises one part of a path, given the one above it.
func container(part, parent string) (id, runtime string) {
	// containerd with the systemd driver, when its own unit is not a scope:
	// kubepods-burstable-podUID.slice:cri-containerd:ID.
	if fields := strings.Split(part, ":"); len(fields) == 3 && isID(fields[2]) {
		_, runtime = named(fields[1] + "-")
		return fields[2][:shortID], runtime
	}
	name := strings.TrimSuffix(part, ".scope")
	if rest, engine := named(name); engine != "" {
		// conmon, Podman's and CRI-O's monitor, is outside its container.
		if isID(rest) {
			return rest[:shortID], engine
		}
		return "", ""
	}
	if isID(part) {
		for _, p := range parents {
			if parent == p.name {
				return part[:shortID], p.runtime
			}
		}
		return part[:shortID], ""
	}
	return linuxContainer(name, part)
}

func named(name string) (rest, runtime string) {
	for _, s := range scopes {
		if rest, ok := strings.CutPrefix(name, s.prefix); ok {
			return rest, s.runtime
		}
	}
	return name, ""
}

// linuxContainer: LXC and systemd-nspawn name their containers.
func linuxContainer(name, part string) (id, runtime string) {
	if rest, ok := strings.CutPrefix(part, "lxc.payload."); ok {
		return rest, "lxc"
	}
	if rest, ok := strings.CutPrefix(name, `machine-`); ok && name != part {
		return strings.ReplaceAll(rest, `\x2d`, "-"), "systemd-nspawn"
	}
	return "", ""
}

// isID reports the 64 hexadecimal digits of an OCI container's ID.
func isID(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if !hexDigit(s[i]) {
			return false
		}
	}
	return true
}

func hexDigit(c byte) bool { return c-'0' < 10 || c-'a' < 6 }

// pod is the UID in kubepods-burstable-podUID.slice (systemd, dashes written
// as underscores) or podUID (cgroupfs). Static pods have the 32 digits of a
// hash instead.
func pod(part string) string {
	name, _, _ := strings.Cut(part, ":")
	name = strings.TrimSuffix(name, ".slice")
	if i := strings.LastIndex(name, "-pod"); i >= 0 && strings.Contains(name[:i], "kubepods") {
		name = name[i+1:]
	}
	uid, ok := strings.CutPrefix(name, "pod")
	if !ok {
		return ""
	}
	uid = strings.ReplaceAll(uid, "_", "-")
	digits := 0
	for i := range len(uid) {
		switch {
		case hexDigit(uid[i]):
			digits++
		case uid[i] != '-':
			return ""
		}
	}
	if digits != 32 {
		return ""
	}
	return uid
}

// groupPath picks the path to show from /proc/PID/cgroup: the unified
// hierarchy's, unless that is empty and a version 1 hierarchy says more.
func groupPath(text string) string {
	var unified, first, named string
	for line := range strings.Lines(text) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		switch {
		case f[0] == "0" && f[1] == "":
			unified = f[2]
		case f[1] == "name=systemd":
			named = f[2]
		case first == "" && f[2] != "/":
			first = f[2]
		}
	}
	for _, p := range [...]string{unified, named, first} {
		if p != "" && p != "/" {
			return p
		}
	}
	if unified != "" || named != "" {
		return "/"
	}
	return first
}
