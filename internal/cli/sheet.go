package cli

import (
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-colorable"
)

// sheet is where a watch writes: standard output, or a file that grows and
// that is opened anew when its name was rotated away.
type sheet struct {
	io.Writer
	name string
	file *os.File
}

func (c *command) sheet() (*sheet, error) {
	if c.out == "" || c.out == "-" {
		s := &sheet{Writer: c.page()}
		if f := terminal(c.page()); f != nil {
			s.Writer = colorable.NewColorable(f)
		}
		return s, nil
	}
	s := &sheet{name: c.out}
	return s, s.reopen()
}

// reopen opens the file of the sheet's name, which may be another by now.
func (s *sheet) reopen() error {
	if s.name == "" {
		return nil
	}
	f, err := os.OpenFile(s.name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("-o: %w; name a file in a directory that is yours", err)
	}
	err = s.Close()
	s.file, s.Writer = f, f
	return err
}

func (s *sheet) Close() error {
	if s == nil || s.file == nil {
		return nil
	}
	return s.file.Close()
}
