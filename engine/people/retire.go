package people

// Retire drops the enrolments of experiments, for ever: those that come later are not
// kept either. The times and keys of people's earliest enrolments stay.
func (r *Registry) Retire(experiments ...string) {
	had := false
	r.mu.Lock()
	for _, experiment := range experiments {
		had = r.arms.retire(experiment) || had
	}
	r.mu.Unlock()
	if !had {
		return
	}
	for i := range r.shards {
		r.mu.Lock()
		r.sweep(&r.shards[i])
		r.mu.Unlock()
	}
}
