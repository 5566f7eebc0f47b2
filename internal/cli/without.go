package cli

import (
	"errors"
	"fmt"
	"time"

	"hangup/capture"
)

// without are the interfaces that a watch has to go on without, and why. It
// may run for days beside others, or wait for one to come up again, so that
// both are told when they happen.
type without map[string]string

// news is what changed since it was asked before.
func (o without) news(inputs []capture.Input) (list []error) {
	for i := range inputs {
		in := &inputs[i]
		was := o[in.Name]
		is := ""
		err := deaf(in)
		if err != nil {
			is = err.Error()
		}
		switch {
		case is == was:
			continue
		case err != nil:
			list = append(list, err)
		default:
			list = append(list, fmt.Errorf("%s: the interface is up again", in.Name))
		}
		o[in.Name] = is
	}
	return list
}

// deaf says why nothing is heard of an interface; nil if it is heard.
func deaf(in *capture.Input) error {
	if in.Err != nil {
		return in.Err
	}
	if n := len(in.Outages); n > 0 && in.Outages[n-1].To == 0 {
		since := time.Unix(0, in.Outages[n-1].From).UTC()
		return fmt.Errorf("%s: the interface is down since %s UTC: nothing is heard there until it is up again", in.Name, since.Format("2006-01-02 15:04:05"))
	}
	return nil
}

// healthy says what keeps a watch of these inputs from hearing all of them.
func healthy(inputs []capture.Input) error {
	var list []error
	for i := range inputs {
		list = append(list, deaf(&inputs[i]))
	}
	return errors.Join(list...)
}
