package generate

// sowings are the faults, one of each kind.
var sowings = []func(*field){
	(*field).leak, (*field).idleCut, (*field).loop, (*field).storm, (*field).silent, (*field).keptAlive,
	(*field).deadline, (*field).idleTimeout, (*field).lifetime, (*field).race, (*field).deafWriter, (*field).lostData,
	(*field).earlyReply, (*field).injected, (*field).down, (*field).overflow, (*field).unreachable, (*field).synLoss,
	(*field).burst, (*field).lossy, (*field).stall, (*field).scan, (*field).flood, (*field).reuse, (*field).crawler,
}

// leak: the server never closes what the clients closed.
func (f *field) leak() {
	h, p := f.server("never-closed")
	for range 12 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(300, 900).think(2).finOnly(0)
	}
	for range 30 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(300, 900).close(0)
	}
}

// idleCut: connections quiet for more than 350 s are answered by RST.
func (f *field) idleCut() {
	h, p := f.server("idle-cut")
	for i := range 18 {
		l := f.open(f.client(), h, p, f.at(500)).handshake().exchange(300, 900)
		if i%3 > 0 {
			l.wait(60+f.rng.Float64()*280).exchange(300, 900).close(0)
			continue
		}
		l.wait(352+f.rng.Float64()*100).send(0, ack, 300).do(1, stateless, 0, 0)
	}
}

// loop: a client dials a dead port five times a second.
func (f *field) loop() {
	h, p := f.server("reconnect-loop", "server-down")
	t, client := f.at(60), f.client()
	for i := range 60 {
		f.open(client, h, p, t+0.2*float64(i)).send(0, syn, 0).do(1, stateless, 0, 0)
	}
}

// storm: a server drops all clients, and they come back in step.
func (f *field) storm() {
	h, p := f.server("reconnect-storm")
	t := f.at(120)
	for i := range 20 {
		l := f.open(100+uint32(i), h, p, t+f.rng.Float64()*30).handshake().exchange(200, 300)
		l.now = seconds(t + 60 + 0.001*float64(i))
		l.close(1)
		f.open(100+uint32(i), h, p, t+61+0.004*float64(i)).handshake().exchange(200, 300).think(20).close(0)
	}
}

// silent: a server's host goes away in the middle of requests.
func (f *field) silent() {
	h, p := f.server("silent-peer")
	t := f.at(200)
	for range 5 {
		l := f.open(f.client(), h, p, t).handshake().exchange(300, 900)
		l.now = seconds(t + 20 + f.rng.Float64())
		l.do(0, lost, ack, 300)
		for d := 0.2; d < 30; d *= 2 {
			l.wait(d).do(0, again, ack, 300)
		}
	}
}

// keptAlive: quiet connections with TCP keep-alive.
func (f *field) keptAlive() {
	h, p := f.server("heartbeats")
	for range 6 {
		l := f.open(f.client(), h, p, f.at(400)).handshake().exchange(300, 900)
		for range 12 {
			l.wait(15).do(0, probe, ack, 0).send(1, ack, 0)
		}
		l.think(7).close(0)
	}
}

// deadline: requests given up after 5 s.
func (f *field) deadline() {
	h, p := f.server("request-timeout")
	for range 8 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(200, 300).think(3).
			send(0, ack, 300).send(1, ack, 0).wait(5.001).finOnly(0).think(1).send(1, fin|ack, 0).send(0, ack, 0)
	}
	for range 40 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(200, 300).think(3).close(0)
	}
}

// idleTimeout: the server closes after 75 s of quiet.
func (f *field) idleTimeout() {
	h, p := f.server("idle-timeout")
	for range 20 {
		f.open(f.client(), h, p, f.at(200)).handshake().exchange(200, 300).think(10).exchange(200, 300).wait(75.01).close(1)
	}
}

// lifetime: the server closes 300 s after the start, whatever goes on.
func (f *field) lifetime() {
	h, p := f.server("max-lifetime")
	for range 10 {
		t := f.at(400)
		l := f.open(f.client(), h, p, t).handshake()
		for l.now < seconds(t+290) {
			l.exchange(200, 300).wait(1 + f.rng.Float64()*8)
		}
		l.now = seconds(t + 300.002)
		l.close(1)
	}
}

// race: requests cross the FIN of a server that closes after 5 s of quiet.
func (f *field) race() {
	h, p := f.server("keep-alive-race", "idle-timeout")
	for i := range 12 {
		l := f.open(f.client(), h, p, f.at(100)).handshake().exchange(200, 300).wait(5.003)
		if i%3 > 0 {
			l.close(1)
			continue
		}
		l.send(1, fin|ack, 0)
		l.now -= l.rtt / 4
		l.do(0, crossed, ack, 300).do(1, stateless, 0, 0)
	}
}

// deafWriter: clients write seconds after they got the FIN.
func (f *field) deafWriter() {
	h, p := f.server("ignored-eof")
	for range 5 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(200, 300).think(8).finOnly(1).
			wait(1+f.rng.ExpFloat64()*3).send(0, ack, 300).do(1, stateless, 0, 0)
	}
}

// lostData: the server resets with its answer in flight.
func (f *field) lostData() {
	h, p := f.server("data-lost-by-reset")
	for range 6 {
		f.open(f.client(), h, p, f.at(100)).handshake().send(0, ack, 300).send(1, ack, 0).send(1, ack, 1448).send(1, ack, 900).send(1, rst|ack, 0)
	}
}

// earlyReply: uploads are answered early and reset.
func (f *field) earlyReply() {
	h, p := f.server("answer-lost-by-reset")
	for range 4 {
		l := f.open(f.client(), h, p, f.at(100)).handshake()
		for range 6 {
			l.send(0, ack, 1448)
		}
		l.send(1, ack, 200).send(0, ack, 1448).send(1, rst|ack, 0)
	}
}

// injected: a device resets connections in the server's name.
func (f *field) injected() {
	f.sown = append(f.sown, Sown{"injected-resets", ""})
	h, p := f.server()
	for range 6 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(300, 900).think(2).
			send(0, ack, 300).do(1, forged, 0, 0).send(1, ack, 0).send(1, ack, 500).do(0, stateless, 0, 0)
	}
}

// down: a server works, is away for a while, and works again.
func (f *field) down() {
	h, p := f.server("server-down")
	t := f.at(200)
	for i := range 60 {
		l := f.open(f.client(), h, p, t+2*float64(i)+f.rng.Float64())
		if i > 20 && i < 45 {
			l.send(0, syn, 0).do(1, stateless, 0, 0)
			continue
		}
		l.handshake().exchange(200, 300).close(0)
	}
}

// overflow: handshakes in a full accept queue.
func (f *field) overflow() {
	h, p := f.server("accept-queue-overflow")
	t := f.at(200)
	for range 5 {
		l := f.open(f.client(), h, p, t+f.rng.Float64()).handshake().do(0, lost, ack, 300)
		for d := 1.0; d < 20; d *= 2 {
			l.wait(d).do(1, sameSYN, syn|ack, 0).do(0, again, ack, 300)
		}
	}
}

// unreachable: nothing answers SYNs.
func (f *field) unreachable() {
	h, p := f.server("unreachable")
	for range 6 {
		l := f.open(f.client(), h, p, f.at(100)).send(0, syn, 0)
		for _, d := range []float64{1, 2, 4} {
			l.wait(d).do(0, sameSYN, syn, 0)
		}
	}
}

// synLoss: one SYN in five must be sent again.
func (f *field) synLoss() {
	h, p := f.server("syn-loss")
	for i := range 150 {
		l := f.open(f.client(), h, p, f.at(100))
		if i%5 == 0 {
			l.send(0, syn, 0).wait(1).do(0, sameSYN, syn, 0).send(1, syn|ack, 0).send(0, ack, 0)
		} else {
			l.handshake()
		}
		l.exchange(200, 300).think(2).close(0)
	}
}

// burst: a server's process dies and takes its connections with it.
func (f *field) burst() {
	h, p := f.server("burst")
	t := f.at(200)
	for range 30 {
		l := f.open(f.client(), h, p, t+f.rng.Float64()*60).handshake().exchange(200, 300)
		l.now = seconds(t + 100 + f.rng.Float64()*0.05)
		l.send(1, rst|ack, 0)
	}
}

// lossy: one segment in ten is sent twice.
func (f *field) lossy() {
	h, p := f.server()
	client := uint32(90)
	f.sown = append(f.sown, Sown{"packet-loss", clientName(client)})
	for range 10 {
		l := f.open(client, h, p, f.at(100)).handshake().send(0, ack, 300).send(1, ack, 0)
		for k := range 40 {
			l.send(1, ack, 1448)
			if k%8 == 0 {
				l.wait(0.25).do(1, again, ack, 1448)
			}
			l.send(0, ack, 0)
		}
		l.close(0)
	}
}

// stall: clients do not read.
func (f *field) stall() {
	h, p := f.server("reader-stalls")
	for range 4 {
		f.open(f.client(), h, p, f.at(100)).handshake().exchange(300, 1448).do(0, shut, 0, 0).
			wait(4+f.rng.Float64()*5).send(0, ack, 0).send(1, ack, 900).send(0, ack, 0).close(0)
	}
}

// scan: one host tries a hundred ports.
func (f *field) scan() {
	h, _ := f.server()
	f.sown = append(f.sown, Sown{"scan", clientName(91)})
	t := f.at(100)
	for i := range 100 {
		f.open(91, h, uint16(1+i*7), t+0.02*float64(i)).send(0, syn, 0).do(1, stateless, 0, 0)
	}
}

// flood: SYNs of many hosts, answered and left alone.
func (f *field) flood() {
	h, p := f.server("syn-flood")
	t := f.at(100)
	for i := range 400 {
		f.open(5000+uint32(i), h, p, t+0.005*float64(i)).send(0, syn, 0).send(1, syn|ack, 0)
	}
}

// reuse: SYNs into the server's TIME_WAIT are dropped at first.
func (f *field) reuse() {
	h, p := f.server("syn-into-time-wait")
	for i := range 5 {
		t := f.at(100)
		f.openFrom(92, uint16(40000+i), h, p, t).handshake().exchange(200, 300).close(1)
		f.openFrom(92, uint16(40000+i), h, p, t+8).send(0, syn, 0).wait(1).do(0, sameSYN, syn, 0).send(1, syn|ack, 0).send(0, ack, 0).exchange(200, 300).close(0)
	}
}

// crawler talks to many servers, which is no scan.
func (f *field) crawler() {
	t := f.at(200)
	for i := range 80 {
		f.open(93, 2000+uint32(i), 443, t+float64(i)).handshake().exchange(200, 3000).close(0)
	}
}

// exhaustion: one client uses up its ports towards one server.
func (f *field) exhaustion() {
	h, p := f.server("port-exhaustion")
	t := f.at(200)
	for i := range 24_000 {
		f.open(94, h, p, t+float64(i)*50/24_000).handshake().exchange(100, 200).close(0)
	}
}

// churn: many short connections, well before ports run out.
func (f *field) churn() {
	h, p := f.server("time-wait-pileup")
	t := f.at(200)
	for i := range 6_000 {
		f.open(95, h, p, t+float64(i)*55/6_000).handshake().exchange(100, 200).close(0)
	}
}
