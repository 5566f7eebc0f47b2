package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Expand turns what a user typed into names of files: patterns that the
// shell left alone (Windows, or quotes), and DIR/... for every capture below
// a directory, as Go's own tools have it. Anything else, "-" too, stays as it
// is; a pattern that fits nothing does too, so that Open can say so.
func Expand(args []string) ([]string, error) {
	var names []string
	for _, arg := range args {
		found := []string{arg}
		var err error
		switch _, missing := os.Lstat(arg); {
		case missing == nil || arg == "-":
		case filepath.Base(arg) == "...":
			found, err = below(filepath.Dir(arg))
		case strings.ContainsAny(arg, "*?["):
			// What is no pattern after all is the name of a file that is missing.
			if match, err := filepath.Glob(arg); err == nil && len(match) > 0 {
				found = match
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", arg, err)
		}
		names = append(names, found...)
	}
	return names, nil
}

// captureName is what files with packets are called: tcpdump's and
// Wireshark's endings, a rotation's number or date behind it, compressed.
var captureName = regexp.MustCompile(`(?i)\.(pcap|pcapng|cap|dmp|ntar)([-_.]?\d+)*(\.(gz|zst|lz4))?$`)

// below lists the captures in a directory and those under it, by their names.
func below(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && captureName.MatchString(path) {
			names = append(names, path)
		}
		return err
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("no directory %s: %w, check its name", dir, fs.ErrNotExist)
	case err == nil && len(names) == 0:
		err = fmt.Errorf("no file below %s has a capture's name (.pcap, .pcapng, .cap, ...), name the files themselves", dir)
	}
	return names, err
}
