package engine

import "context"

// Who does things without a key: the worker's jobs, and a process as it starts.
const (
	ActorWorker  = "worker"
	ActorProcess = "process"
)

// Actor is the key as the audit log names it.
func (k *Key) Actor() string { return k.ID + " (" + k.Name + ")" }

type actorKey struct{}

// WithActor says on whose behalf a use case runs. The API sets it as it lets a key in, and
// RunJob for the worker; the audit log has it from there. It is no permission.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// ActorOf is who WithActor named; without anybody, the process itself.
func ActorOf(ctx context.Context) string {
	if actor, ok := ctx.Value(actorKey{}).(string); ok {
		return actor
	}
	return ActorProcess
}
