package network

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Parts of rules. Each returns expressions that let a packet go on to the next part, or give the verdict.
// Registers 1 to 4 hold 16 bytes each; 8 to 23 are the same memory in steps of 4 bytes.

func join(parts ...[]expr.Any) []expr.Any {
	var out []expr.Any
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func ifPrefix(key expr.MetaKey, op expr.CmpOp, prefix string) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: []byte(prefix)}}
}

func iif(prefix string) []expr.Any    { return ifPrefix(expr.MetaKeyIIFNAME, expr.CmpOpEq, prefix) }
func notIif(prefix string) []expr.Any { return ifPrefix(expr.MetaKeyIIFNAME, expr.CmpOpNeq, prefix) }
func oif(prefix string) []expr.Any    { return ifPrefix(expr.MetaKeyOIFNAME, expr.CmpOpEq, prefix) }
func notOif(prefix string) []expr.Any { return ifPrefix(expr.MetaKeyOIFNAME, expr.CmpOpNeq, prefix) }

func notLoopback() []expr.Any { return notIif("lo\x00") }

func family(f byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f}}}
}

func l4proto(p byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{p}}}
}

func ethertype(t uint16) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(t)}}
}

func icmpEcho() []expr.Any {
	return join(l4proto(unix.IPPROTO_ICMP), []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{8}},
	})
}

func established() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

// redirected matches packets whose destination somebody translated, as Docker does for the ports it publishes.
func redirected() []expr.Any {
	const dstNAT = 1 << 5 // IPS_DST_NAT of linux/netfilter/nf_conntrack_common.h
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(dstNAT), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func dport(port uint16) []expr.Any {
	return []expr.Any{loadDport(), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)}}
}

func dportIn(s *nftables.Set) []expr.Any { return []expr.Any{loadDport(), in(s)} }

func loadDport() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}

func in(s *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}
}

// The offsets of addresses in an IPv4 header.
const (
	offsetSaddr = 12
	offsetDaddr = 16
)

func loadAddr(register, offset uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

func daddrIn(s *nftables.Set) []expr.Any { return []expr.Any{loadAddr(1, offsetDaddr), in(s)} }

// networkIn looks up the network of length bits that the address at offset belongs to.
func networkIn(offset uint32, bits int, s *nftables.Set) []expr.Any {
	return []expr.Any{loadAddr(1, offset), mask(bits), in(s)}
}

func daddrInNetwork(network [4]byte, bits int) []expr.Any {
	return []expr.Any{loadAddr(1, offsetDaddr), mask(bits), &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: network[:]}}
}

func mask(bits int) expr.Any {
	return &expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Xor: make([]byte, 4),
		Mask: binaryutil.BigEndian.PutUint32(^uint32(0) << (32 - bits))}
}

// iifOifIn looks up the pair of names of the interfaces a packet comes from and goes to.
func iifOifIn(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, &expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 2}, in(s)}
}

// iifDaddrIn looks up the name of the interface a packet comes from with its destination.
func iifDaddrIn(s *nftables.Set) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, loadAddr(2, offsetDaddr), in(s)}
}

// senderIn looks up a bridge port's name with the Ethernet and the IP address that a frame claims to come from.
func senderIn(ipOffset uint32, s *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1},
		&expr.Payload{DestRegister: 12, Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6},
		loadAddr(14, ipOffset),
		in(s),
	}
}

func verdict(k expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: k}} }

func accept() []expr.Any { return verdict(expr.VerdictAccept) }
func drop() []expr.Any   { return verdict(expr.VerdictDrop) }

func gotoChain(c *nftables.Chain) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: expr.VerdictGoto, Chain: c.Name}}
}

// resetTCP and prohibit tell the sender at once, so that a forbidden connection fails instead of hanging.
func resetTCP() []expr.Any {
	return join(l4proto(unix.IPPROTO_TCP), []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})
}

func prohibit() []expr.Any {
	return []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMPX_UNREACH, Code: unix.NFT_REJECT_ICMPX_ADMIN_PROHIBITED}}
}

func masquerade() []expr.Any { return []expr.Any{&expr.Masq{}} }

func redirect(port uint16) []expr.Any {
	return []expr.Any{&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)}, &expr.Redir{RegisterProtoMin: 1}}
}
