package bridge

import (
	"context"
	"testing"
)

func TestArgumentsThatAreNotThereOrOfAnotherKind(t *testing.T) {
	a := Args{String("x"), Number(2), Bool(true), Bytes([]byte{1}), Null()}
	if a.String(0) != "x" || a.Number(1) != 2 || !a.Bool(2) || len(a.Bytes(3)) != 1 {
		t.Fatalf("got %v", a)
	}
	if a.String(1) != "" || a.Number(2) != 0 || a.Bool(1) || a.Bytes(0) != nil {
		t.Fatal("a value was taken for another kind")
	}
	if a.At(9).Kind() != KindUndefined || a.At(-1).Kind() != KindUndefined || a.At(4).Kind() != KindNull {
		t.Fatal("what is not there is not undefined")
	}
}

func TestLaterRunsWhenItIsWaitedFor(t *testing.T) {
	v := Later(func(context.Context) (Value, error) { return Number(3), nil })
	got, err := v.Wait(t.Context())
	if err != nil || got.Num() != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
}
