// Package filter compiles the filter expressions of tcpdump to classic BPF,
// reads such programs, and runs them.
package filter
