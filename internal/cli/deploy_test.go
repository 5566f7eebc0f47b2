package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// accepts reports why the command line would be refused, nil if it would not.
func accepts(args []string) error {
	c := new(command)
	flags := c.flags()
	if err := flags.Parse(args); err != nil {
		return err
	}
	return c.check()
}

// The command lines of the deployment files are ones that hangup understands.
func TestDeploymentFilesFitTheFlags(t *testing.T) {
	dir := filepath.Join("..", "..", "output", "metrics", "deploy")
	unit, err := os.ReadFile(filepath.Join(dir, "hangup.service"))
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(unit)) {
		if _, command, ok := strings.Cut(line, "ExecStart=/usr/local/bin/hangup "); ok {
			lines++
			if err := accepts(strings.Fields(command)); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		}
	}
	if lines < 2 {
		t.Errorf("%d command lines in the unit and its drop-ins", lines)
	}
	f, err := os.Open(filepath.Join(dir, "daemonset.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := false
	for d := yaml.NewDecoder(f); ; {
		var doc struct {
			Spec struct {
				Template struct {
					Spec struct{ Containers []struct{ Args []string } }
				}
			}
		}
		if d.Decode(&doc) != nil {
			break
		}
		for _, c := range doc.Spec.Template.Spec.Containers {
			found = true
			if err := accepts(c.Args); err != nil {
				t.Errorf("%q: %v", c.Args, err)
			}
		}
	}
	if !found {
		t.Error("no container in the DaemonSet")
	}
}
