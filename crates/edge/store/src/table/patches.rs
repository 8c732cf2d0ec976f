//! Patches from one image to another, and how far they are built.

use sqlx::SqliteConnection;
use warden_model::release::{Patch, PatchJob, PatchState, PatchStep};
use warden_model::{ByteCount, ProductId, Sha256Digest};

use crate::error::StoreError;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

pub(crate) async fn write(on: &mut SqliteConnection, patch: &Patch) -> Result<(), StoreError> {
    Upsert::into("patches")
        .key("result", patch.result)
        .key("base", patch.base)
        .set("digest", patch.digest)
        .set("size", patch.size)
        .run(on)
        .await
}

pub(crate) async fn write_job(on: &mut SqliteConnection, job: &PatchJob) -> Result<(), StoreError> {
    Upsert::into("patch_jobs")
        .key("result", job.result)
        .key("base", job.base)
        .set("product", job.product.as_str())
        .set("base_version", job.base_version.as_str())
        .set("devices", job.devices)
        .set("state", job.state.word())
        .set("step", job.step.map(PatchStep::word))
        .set("attempts", u64::from(job.attempts))
        .set("reason", job.reason.as_str())
        .set("wanted_at", job.wanted_at)
        .set("started_at", job.started_at)
        .set("ended_at", job.ended_at)
        .set("again_at", job.again_at)
        .set("unused_since", job.unused_since)
        .run(on)
        .await
}

pub(crate) async fn remove_job(
    on: &mut SqliteConnection,
    base: &Sha256Digest,
    result: &Sha256Digest,
) -> Result<(), StoreError> {
    let text = "DELETE FROM patch_jobs WHERE result = $1 AND base = $2";
    Statement::new("patch_jobs", text).arg(*result).arg(*base).run(on).await.map(|_| ())
}

pub(crate) async fn remove(
    on: &mut SqliteConnection,
    base: &Sha256Digest,
    result: &Sha256Digest,
) -> Result<(), StoreError> {
    let text = "DELETE FROM patches WHERE result = $1 AND base = $2";
    Statement::new("patches", text).arg(*result).arg(*base).run(&mut *on).await?;
    remove_job(on, base, result).await
}

fn read(row: &Row) -> Result<Patch, StoreError> {
    Ok(Patch {
        result: row.parsed("result")?,
        base: row.parsed("base")?,
        digest: row.parsed("digest")?,
        size: ByteCount(row.unsigned("size")?),
    })
}

fn read_job(row: &Row) -> Result<PatchJob, StoreError> {
    Ok(PatchJob {
        base: row.parsed("base")?,
        base_version: row.parsed("base_version")?,
        result: row.parsed("result")?,
        product: row.parsed("product")?,
        devices: row.unsigned("devices")?,
        state: row.parsed("state")?,
        step: row.parsed_opt("step")?,
        attempts: row.unsigned("attempts")?,
        reason: row.text("reason")?,
        wanted_at: row.time("wanted_at")?,
        started_at: row.time_opt("started_at")?,
        ended_at: row.time_opt("ended_at")?,
        again_at: row.time_opt("again_at")?,
        unused_since: row.time_opt("unused_since")?,
    })
}

impl Store {
    /// Returns the patches that make an image, by their base.
    pub async fn patches_to(&self, result: &Sha256Digest) -> Result<Vec<Patch>, StoreError> {
        Statement::new("patches", "SELECT * FROM patches WHERE result = $1 ORDER BY base")
            .arg(*result)
            .read(self.reader(), read)
            .await
    }

    /// Returns the patch from one image to another.
    pub async fn patch(
        &self,
        base: &Sha256Digest,
        result: &Sha256Digest,
    ) -> Result<Option<Patch>, StoreError> {
        Statement::new("patches", "SELECT * FROM patches WHERE result = $1 AND base = $2")
            .arg(*result)
            .arg(*base)
            .read_one(self.reader(), read)
            .await
    }

    /// Returns how many patches have this very file: two pairs of images may share one.
    pub async fn patches_with(&self, digest: &Sha256Digest) -> Result<u64, StoreError> {
        Statement::new("patches", "SELECT count(*) AS n FROM patches WHERE digest = $1")
            .arg(*digest)
            .number(self.reader())
            .await
    }

    /// Returns where the building of a patch stands.
    pub async fn patch_job(
        &self,
        base: &Sha256Digest,
        result: &Sha256Digest,
    ) -> Result<Option<PatchJob>, StoreError> {
        Statement::new("patch_jobs", "SELECT * FROM patch_jobs WHERE result = $1 AND base = $2")
            .arg(*result)
            .arg(*base)
            .read_one(self.reader(), read_job)
            .await
    }

    /// Returns where the patches stand that make an image, those for most devices first.
    pub async fn patch_jobs_to(&self, result: &Sha256Digest) -> Result<Vec<PatchJob>, StoreError> {
        let text = "SELECT * FROM patch_jobs WHERE result = $1 ORDER BY devices DESC, base_version, base";
        Statement::new("patch_jobs", text).arg(*result).read(self.reader(), read_job).await
    }

    /// Returns where the patches of a product stand.
    pub async fn patch_jobs_of(&self, product: &ProductId) -> Result<Vec<PatchJob>, StoreError> {
        let text = "SELECT * FROM patch_jobs WHERE product = $1 ORDER BY result, base";
        Statement::new("patch_jobs", text).arg(product.as_str()).read(self.reader(), read_job).await
    }

    /// Returns where all patches in a state stand.
    pub async fn patch_jobs_in(&self, state: PatchState) -> Result<Vec<PatchJob>, StoreError> {
        let text = "SELECT * FROM patch_jobs WHERE state = $1 ORDER BY result, base";
        Statement::new("patch_jobs", text).arg(state.word()).read(self.reader(), read_job).await
    }

    /// Counts the patches by where their building stands.
    pub async fn patch_counts(&self) -> Result<Vec<(PatchState, u64)>, StoreError> {
        Statement::new(
            "patch_jobs",
            "SELECT state, count(*) AS n FROM patch_jobs GROUP BY state ORDER BY state",
        )
        .read(self.reader(), |row| Ok((row.parsed("state")?, row.unsigned("n")?)))
        .await
    }
}
