package output

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Create makes the file that a flag names. A regular file appears under its
// name when finish is told that all is well, so that nobody reads half of
// one. Errors name the flag and say what to do.
func Create(flag, name string) (w io.Writer, finish func(ok bool) error, err error) {
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return nil, nil, fmt.Errorf("%s %s: is a directory; name a file in it", flag, name)
	}
	part := name
	if err != nil || info.Mode().IsRegular() {
		part += ".part"
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return nil, nil, fmt.Errorf("%s %s: cannot be written: %w; name a file in a directory that is yours", flag, name, errors.Unwrap(err))
	}
	return f, func(ok bool) error {
		err := f.Close()
		switch {
		case part == name:
			return err
		case ok && err == nil:
			return os.Rename(part, name)
		}
		return errors.Join(err, os.Remove(part))
	}, nil
}
