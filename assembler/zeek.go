package assembler

type zeekEnd struct{}
type zeekConn struct{}
