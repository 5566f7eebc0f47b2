package cli

import "hangup/capture"

// without are the interfaces that a watch had to go on without. It may run
// for days beside the others, so they are told when they go.
type without map[string]bool

// news are the troubles of inputs that were not known before.
func (o without) news(inputs []capture.Input) (list []error) {
	for i := range inputs {
		if in := &inputs[i]; in.Err != nil && !o[in.Name] {
			o[in.Name] = true
			list = append(list, in.Err)
		}
	}
	return list
}
