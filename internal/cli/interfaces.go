package cli

import (
	"fmt"
	"slices"
	"strconv"
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

// named replaces numbers of the list by names, as tcpdump does; an interface
// may be named like a number.
func named(ifaces []string) []string {
	list, err := capture.Interfaces()
	if err != nil {
		return ifaces // whoever opens them says what is wrong
	}
	names := slices.Clone(ifaces)
	for k, name := range names {
		n, err := strconv.Atoi(name)
		known := slices.ContainsFunc(list, func(i capture.Interface) bool { return i.Name == name })
		if err == nil && !known && n >= 1 && n <= len(list) {
			names[k] = list[n-1].Name
		}
	}
	return names
}
