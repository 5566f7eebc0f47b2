package filter

// Expr is a parsed filter expression. It may be used by several goroutines.
type Expr struct {
	text string
	root *node // nil: everything passes
}

// String is the expression as it was given.
func (e *Expr) String() string { return e.text }

// qualifier is what stands before an address, a port or a number and is
// inherited by the bare ones behind "and" and "or".
type qualifier struct {
	protocol  protocol
	direction direction
	address   address
}

// inheritable is false where nothing before an identifier says what it is.
func (q qualifier) inheritable() bool { return q.protocol != noProtocol }

type direction uint8

const (
	eitherWay direction = iota // no word, or "src or dst"
	source
	destination
	bothWays // "src and dst"
)

// address says what an identifier is: a host if no word says anything else.
type address uint8

const (
	anyAddress address = iota
	hostAddress
	netAddress
	portAddress
	rangeAddress
	protoNumber
)

// test names what a node of the tree looks at.
type test uint8

const (
	testAnd test = iota
	testOr
	testNot
	testHost4    // v, mask
	testHost6    // addr6, mask6
	testStation  // mac
	testPorts    // v to mask, of transport
	testNumber   // v: protocol number under q.protocol
	testProtocol // q.protocol alone
	testBroadcast
	testMulticast
	testLess    // len <= v
	testGreater // len >= v
	testByte    // byte at v compared by operator with mask
	testInbound
	testOutbound
	testVLAN   // v, or any if !given
	testMPLS   // v, or any if !given
	testPPPoED // any discovery packet
	testPPPoES // v, or any if !given
	testCompare
)

// node is one primitive of an expression, or what joins them.
type node struct {
	test        test
	pos         int
	q           qualifier
	left, right *node
	v, mask     uint32
	given       bool
	transport   protocol // anyProtocol: TCP, UDP and SCTP
	addr6       [4]uint32
	mask6       [4]uint32
	mac         [6]byte
	operator    string // of testByte and testCompare
	a, b        *sum
}

// sum is one value of a comparison.
type sum struct {
	kind     sumKind
	pos      int
	value    uint32
	operator byte // '<' and '>' are the shifts
	left     *sum // also the index of a load, and what is negated
	right    *sum
	protocol protocol
	size     uint32
}

type sumKind uint8

const (
	sumNumber sumKind = iota
	sumLength
	sumLoad
	sumOperator
	sumNegative
)
