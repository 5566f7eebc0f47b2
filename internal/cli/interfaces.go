package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"hangup/capture"
)

// interfaces lists what can be watched.
func (c *command) interfaces() error {
	list, err := capture.Interfaces()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for i, f := range list {
		var is, addrs []string
		for _, flag := range []struct {
			on   bool
			name string
		}{{f.Up, "Up"}, {f.Running, "Running"}, {f.Loopback, "Loopback"}} {
			if flag.on {
				is = append(is, flag.name)
			}
		}
		for _, a := range f.Addrs {
			addrs = append(addrs, a.String())
		}
		fmt.Fprintf(w, "%d.%s\t[%s]\t%s\t%s\n", i+1, f.Name, strings.Join(is, ", "), f.Link, strings.Join(addrs, " "))
	}
	return w.Flush()
}
