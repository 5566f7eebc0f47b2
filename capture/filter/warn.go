package filter

// Warnings says, one sentence each, what the filter would hide of the
// connections whose other packets it lets through.
func (e *Expr) Warnings() []string { return nil }
