//go:build linux

package main

import (
	"encoding/json"

	"hangup/internal/lab/record"
)

// The line protocol between the orchestrator and a program: one JSON object
// a line, upward on the program's standard output, downward on its standard
// input. End of file downward means: exit.

// upward is one line from a program.
type upward struct {
	At    string       `json:"at,omitempty"`    // step reached
	Begin *record.Call `json:"begin,omitempty"` // a call starts; lines of one side come in order of start
	End   *record.Call `json:"end,omitempty"`   // it returned
	Done  bool         `json:"done,omitempty"`  // the scenario's function returned; sockets stay as they are
	Fail  string       `json:"fail,omitempty"`  // the scenario did not go as planned
}

// downward is one line to a program: a step that somebody reached.
type downward struct {
	Step string `json:"step"`
}

// config is the argument of a re-executed program.
type config struct {
	Scenario string `json:"scenario"`
	Role     string `json:"role"`
	Client   string `json:"client"`
	Server   string `json:"server"`  // address of the server, without port
	Server2  string `json:"server2"` // the other family's address where the place has both
	LimitMS  int64  `json:"limit_ms"`
}

func (c config) arg() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // strings and integers only
	}
	return string(b)
}

func parseConfig(arg string) (c config, err error) {
	err = json.Unmarshal([]byte(arg), &c)
	return c, err
}
