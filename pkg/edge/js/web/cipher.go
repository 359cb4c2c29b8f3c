package web

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/binary"
	"math/big"

	"github.com/pandabox/pandabox/pkg/edge/js/bridge"
)

func cipherFunctions() []bridge.Function {
	return []bridge.Function{
		{Name: "aesCrypt", Call: aesCrypt},
		{Name: "aesWrap", Call: aesWrap},
	}
}

// failed is what a cipher says that does not want to say why.
func failed() error { return bridge.Throw("OperationError", "the operation failed") }

// aesCrypt(mode, encrypting, key, iv, data, additional data, tag bytes of GCM or counter bits of CTR).
func aesCrypt(_ context.Context, a bridge.Args) (bridge.Value, error) {
	block, err := aes.NewCipher(a.Bytes(2))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	encrypting, iv, data := a.Bool(1), a.Bytes(3), a.Bytes(4)
	var out []byte
	switch a.String(0) {
	case "CBC":
		out, err = cbc(block, encrypting, iv, data)
	case "CTR":
		out, err = ctr(block, iv, data, int(a.Number(6)))
	case "GCM":
		out, err = gcm(block, encrypting, iv, data, a.Bytes(5), int(a.Number(6)))
	default:
		err = failed()
	}
	return bridge.Bytes(out), err
}

// cbc pads as PKCS #7 says.
func cbc(block cipher.Block, encrypting bool, iv, data []byte) ([]byte, error) {
	const size = aes.BlockSize
	if len(iv) != size {
		return nil, failed()
	}
	if encrypting {
		pad := size - len(data)%size
		out := append(bytes.Clone(data), bytes.Repeat([]byte{byte(pad)}, pad)...)
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(out, out)
		return out, nil
	}
	if len(data) == 0 || len(data)%size != 0 {
		return nil, failed()
	}
	out := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(out, data)
	pad := int(out[len(out)-1])
	if pad < 1 || pad > size || !bytes.Equal(out[len(out)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return nil, failed()
	}
	return out[:len(out)-pad], nil
}

// ctr counts in the last bits of the block alone: where they wrap, the rest of it stays.
func ctr(block cipher.Block, counter, data []byte, bits int) ([]byte, error) {
	const size = aes.BlockSize
	if len(counter) != size || bits < 1 || bits > 128 {
		return nil, failed()
	}
	blocks := int64((len(data) + size - 1) / size)
	span := new(big.Int).Lsh(big.NewInt(1), uint(bits))
	if big.NewInt(blocks).Cmp(span) > 0 {
		return nil, failed()
	}
	out := make([]byte, len(data))
	at := new(big.Int).SetBytes(counter)
	low := new(big.Int).Mod(at, span)
	left := new(big.Int).Sub(span, low)
	first := len(data)
	if left.Cmp(big.NewInt(blocks)) < 0 {
		first = int(left.Int64()) * size
	}
	cipher.NewCTR(block, counter).XORKeyStream(out[:first], data[:first])
	if first < len(data) {
		wrapped := new(big.Int).Sub(at, low).FillBytes(make([]byte, size))
		cipher.NewCTR(block, wrapped).XORKeyStream(out[first:], data[first:])
	}
	return out, nil
}

// gcm takes tags of every length the platform has; the standard library only the longer ones, and 12 bytes of iv or any
// length with a full tag. The short tags are checked against the begin of a full one.
func gcm(block cipher.Block, encrypting bool, iv, data, additional []byte, tag int) ([]byte, error) {
	if len(iv) == 0 || tag < 4 || tag > 16 {
		return nil, failed()
	}
	full, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil {
		return nil, failed()
	}
	if encrypting {
		out := full.Seal(nil, iv, data, additional)
		return out[:len(data)+tag], nil
	}
	if len(data) < tag {
		return nil, failed()
	}
	if tag == 16 {
		out, err := full.Open(nil, iv, data, additional)
		if err != nil {
			return nil, failed()
		}
		return out, nil
	}
	// GCM encrypts by counting, so that sealing the sealed text opens it; sealing that again gives the full tag.
	body := data[:len(data)-tag]
	plain := full.Seal(nil, iv, body, additional)[:len(body)]
	again := full.Seal(nil, iv, plain, additional)
	if subtle.ConstantTimeCompare(again[len(body):len(body)+tag], data[len(body):]) != 1 {
		return nil, failed()
	}
	return plain, nil
}

// aesWrap(wrapping, key, data): RFC 3394.
func aesWrap(_ context.Context, a bridge.Args) (bridge.Value, error) {
	block, err := aes.NewCipher(a.Bytes(1))
	if err != nil {
		return bridge.Undefined(), failed()
	}
	data := a.Bytes(2)
	if a.Bool(0) {
		if len(data)%8 != 0 || len(data) < 16 {
			return bridge.Undefined(), failed()
		}
		return bridge.Bytes(wrap(block, data)), nil
	}
	if len(data)%8 != 0 || len(data) < 24 {
		return bridge.Undefined(), failed()
	}
	out, ok := unwrap(block, data)
	if !ok {
		return bridge.Undefined(), failed()
	}
	return bridge.Bytes(out), nil
}

const wrapCheck = 0xa6a6a6a6a6a6a6a6

func wrap(block cipher.Block, data []byte) []byte {
	n := len(data) / 8
	r := append(make([]byte, 8), data...)
	var b [16]byte
	check := uint64(wrapCheck)
	for j := range 6 {
		for i := 1; i <= n; i++ {
			binary.BigEndian.PutUint64(b[:], check)
			copy(b[8:], r[8*i:])
			block.Encrypt(b[:], b[:])
			check = binary.BigEndian.Uint64(b[:]) ^ uint64(n*j+i) //nolint:gosec // a count
			copy(r[8*i:], b[8:])
		}
	}
	binary.BigEndian.PutUint64(r, check)
	return r
}

func unwrap(block cipher.Block, data []byte) ([]byte, bool) {
	n := len(data)/8 - 1
	r := bytes.Clone(data)
	var b [16]byte
	check := binary.BigEndian.Uint64(r)
	for j := 5; j >= 0; j-- {
		for i := n; i >= 1; i-- {
			binary.BigEndian.PutUint64(b[:], check^uint64(n*j+i)) //nolint:gosec // a count
			copy(b[8:], r[8*i:8*i+8])
			block.Decrypt(b[:], b[:])
			check = binary.BigEndian.Uint64(b[:])
			copy(r[8*i:], b[8:])
		}
	}
	var want, got [8]byte
	binary.BigEndian.PutUint64(want[:], wrapCheck)
	binary.BigEndian.PutUint64(got[:], check)
	return r[8:], subtle.ConstantTimeCompare(want[:], got[:]) == 1
}
