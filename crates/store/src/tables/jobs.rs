//! Leases of background jobs, of which one process at a time does each.

use crate::{Tx, database::params, error::Result, model::UnixMicros, statements::statements};

statements! {
    TAKE_JOB = "INSERT INTO job_leases (job, holder, until) VALUES (?1, ?2, ?3) ON CONFLICT (job)
        DO UPDATE SET holder = ?2, until = ?3 WHERE job_leases.holder = ?2 OR job_leases.until <= ?4";
    RELEASE_JOB = "DELETE FROM job_leases WHERE job = ?1 AND holder = ?2";
}

impl Tx {
    /// Takes or renews the lease of a job until then; `false` if another holder has it.
    pub fn take_job(&mut self, job: &str, holder: &str, now: UnixMicros, until: UnixMicros) -> Result<bool> {
        Ok(self.change(TAKE_JOB, params![job, holder, until, now])? > 0)
    }

    /// Ends the lease of a job, if this holder has it.
    pub fn release_job(&mut self, job: &str, holder: &str) -> Result<()> {
        self.change(RELEASE_JOB, params![job, holder]).map(drop)
    }
}
