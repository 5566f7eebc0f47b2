package filter

import "testing"

func TestCompilesWhatTcpdumpDoes(t *testing.T) {
	e, err := Parse("icmp")
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.Compile(linkEthernet, 262144)
	if err != nil {
		t.Fatal(err)
	}
	want := "(000) ldh      [12]\n" +
		"(001) jeq      #0x800           jt 2\tjf 5\n" +
		"(002) ldb      [23]\n" +
		"(003) jeq      #0x1             jt 4\tjf 5\n" +
		"(004) ret      #262144\n" +
		"(005) ret      #0"
	if got := p.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
