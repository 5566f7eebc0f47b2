package classify

// Severity weighs a verdict by the trouble it makes for the programs at both
// ends: losing data or hanging is worse than a clean error, an error worse
// than a RST that no program hears of; 0 means that nothing is wrong.
func (v *Verdict) Severity() int {
	switch v.Cause {
	case PMTUBlackhole, AcceptQueueOverflow, InjectedReset, ResetByOwnHost:
		return 9
	case CloseWaitLeak, RetransmissionTimeout, ZeroWindowStall:
		return 8
	case PeerLostState, PeerVanished, ListenerClosed:
		return 7
	case CloseWithUnreadData, ConnectTimeout:
		return 6
	case AbortiveClose, WriteAfterClose, KeepaliveTimeout, HandshakeIncomplete:
		return 5
	case ConnectionRefused, ICMPRejected, StaleTuple:
		return 4
	case DialCancelled, FinTimeout:
		return 3
	case FinWait2Expired:
		return 1
	}
	if v.Class == Graceful || v.Class == Open {
		return 0
	}
	return 2
}
