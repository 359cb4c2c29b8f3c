package runtime

import (
	"context"
	"errors"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"google.golang.org/grpc/status"

	"github.com/pandabox/pandabox/pkg/model"
)

// failure turns an error from below into one a person can act on. An error that is one already stays as it is.
func failure(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	var known *model.Error
	if errors.As(err, &known) {
		return err
	}
	if _, remote := status.FromError(err); remote { // of any other, ToNative makes an unknown one
		err = errgrpc.ToNative(err)
	}
	e := model.Errorf(model.KindInternal, format, args...).Wrap(err)
	switch {
	case isNoSpace(err):
		e.Kind, e.Why, e.Hint = model.KindNoSpace, "no space left on the disk", "free some space; `pandabox doctor` shows what uses it"
	case errors.Is(err, context.Canceled) || errdefs.IsCanceled(err):
		e.Kind = model.KindCanceled
	case errors.Is(err, context.DeadlineExceeded) || errdefs.IsDeadlineExceeded(err):
		e.Kind = model.KindTimeout
	case errdefs.IsUnavailable(err):
		e.Kind, e.Why, e.Hint = model.KindUnavailable, "containerd does not answer", "it is restarted at once; try again"
	case errdefs.IsNotFound(err):
		e.Kind = model.KindNotFound
	}
	return e
}

// isUnavailable tells whether it was containerd that did not answer.
func isUnavailable(err error) bool {
	return err != nil && model.KindOf(failure(err, "talking to containerd")) == model.KindUnavailable
}

// isNoSpace tells whether the disk is full. Over gRPC only the message is left of ENOSPC.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		containsAny(err.Error(), "no space left on device", "disk quota exceeded")
}
