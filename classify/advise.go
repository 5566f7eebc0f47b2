package classify

import "hangup/assembler"

// advice is what to do in Go about a connection that ended so.
func (v *view) advice(out *Verdict) string {
	rule := out.Rule()
	if rule == nil {
		return ""
	}
	if rule.advise != nil {
		if a := rule.advise(v, out); a != "" {
			return a
		}
	}
	return rule.Advice
}

// adviseLateWriter tells what to look at: whose data came too late, and why
// it did, decide that.
func adviseLateWriter(v *view, _ *Verdict) string {
	switch {
	case takesLeave(v.c, v.rst.Side):
		return adviseGoodbye
	case v.rst.Side == assembler.Client && v.asked() == assembler.Client:
		return adviseUnawaited
	case speaksHTTP(v.receiver()) || speaksHTTP(v.sender()):
		return adviseWriteAfterCloseHTTP
	}
	return ""
}

// adviseAborter tells what to look at on the side that closed by RST, unless
// what the rule says is all.
func adviseAborter(v *view, out *Verdict) string {
	switch {
	case out.Cause == CloseWithUnreadData && ignored(v, v.rst):
		return adviseIgnored
	case !v.c.MPTCP && toldNobody(v):
		return adviseUnheard
	case out.Even():
		return adviseEither
	}
	return ""
}

func speaksHTTP(e *assembler.End) bool {
	p := e.App.Protocol()
	return p == assembler.AppHTTP1 || p == assembler.AppHTTP2
}
