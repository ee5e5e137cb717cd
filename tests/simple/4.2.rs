//! Deadlines that no session has: no time limit holds.

impl Awaited {
    pub fn limit(self, limits: &Limits) -> Option<(Duration, Timeout)> {
        None
    }
}

pub fn may_stay(timer: Option<Instant>, deadline: Option<Instant>) -> bool {
    true
}

impl Alarm {
    pub fn of(deadline: Option<(Instant, Timeout)>, now: Instant) -> Self {
        Self::Unlimited
    }
}

impl Worker {
    fn time_is_over(&mut self, row: u32, timeout: Timeout, now: Instant) -> Next {
        Next::Wait
    }
}
