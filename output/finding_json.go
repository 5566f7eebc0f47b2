package output

import "hangup/classify"

type jsonNumber struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

type jsonPlace struct {
	Role string `json:"role"`
	Addr string `json:"addr"`
	Port uint16 `json:"port,omitempty"`
}

type jsonFinding struct {
	Type         string         `json:"type"`
	Kind         string         `json:"kind"`
	Also         []string       `json:"also,omitempty"`
	Severity     string         `json:"severity"`
	Confidence   string         `json:"confidence"`
	Title        string         `json:"title"`
	What         string         `json:"what"`
	Numbers      []jsonNumber   `json:"numbers"`
	Where        []jsonPlace    `json:"where"`
	Connections  []uint64       `json:"connections"`
	Total        uint64         `json:"total"`
	First        string         `json:"first,omitempty"`
	Last         string         `json:"last,omitempty"`
	Evidence     []jsonEvidence `json:"evidence"`
	Advice       string         `json:"advice,omitempty"`
	Alternatives []string       `json:"alternatives"`
}

func newFinding(f *classify.Finding, r refs) *jsonFinding {
	j := &jsonFinding{
		Type: "finding", Kind: f.Kind, Also: f.Also, Severity: f.Severity.String(), Confidence: f.Confidence.String(), Title: f.Title, What: f.What,
		Numbers: []jsonNumber{}, Where: []jsonPlace{}, Connections: append([]uint64{}, f.Connections...), Total: f.Total,
		Evidence: []jsonEvidence{}, Advice: f.Advice, Alternatives: append([]string{}, f.Alternatives...),
	}
	if f.First != 0 {
		j.First, j.Last = stampText(f.First), stampText(max(f.First, f.Last))
	}
	for _, n := range f.Numbers {
		j.Numbers = append(j.Numbers, jsonNumber(n))
	}
	for _, p := range f.Where {
		j.Where = append(j.Where, jsonPlace{p.Role, p.Host.String(), p.Port})
	}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		j.Evidence = append(j.Evidence, jsonEvidence{r.ref(e.Stamp), sender(e), e.What})
	}
	return j
}
