//! Secrets that let people, programs and new devices in; only their SHA-256 hashes are kept.
//!
//! In: hashes of secrets, and `now`. Out: whether they are good. Refuses: what is unknown, expired, or used up; a secret
//! for one use is taken in the same statement that checks it, so that two at the same time never both succeed.

use thiserror::Error;
use warden_model::device::{Criticality, DataSensitivity};
use warden_model::{HardwareId, ProductId, SegmentId, Sha256Digest, Timestamp};

use crate::error::StoreError;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;
use crate::write::Write;

/// What became of a login link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkUse {
    /// It was good, and is used up now.
    Accepted,
    /// Nobody made it.
    Unknown,
    /// It came too late.
    Expired,
    /// It was used before.
    UsedUp,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It is good until then.
    Live {
        /// When it ends.
        until: Timestamp,
    },
    /// It has ended, or never began.
    Gone,
}

/// A token for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its public part.
    pub id: String,
    /// The hash of its secret part.
    pub hash: Sha256Digest,
    /// What it is for.
    pub name: String,
    /// When it ends; absent when it never does.
    pub expires: Option<Timestamp>,
}

/// What a new device becomes when it enrols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentGrant {
    /// Its product.
    pub product: ProductId,
    /// Its board.
    pub hardware: HardwareId,
    /// What breaks when it breaks.
    pub criticality: Criticality,
    /// What leaks when it leaks.
    pub sensitivity: DataSensitivity,
    /// Its network segment.
    pub segment: Option<SegmentId>,
    /// How many devices may still enrol with it.
    pub uses_left: u64,
    /// Until when.
    pub expires: Timestamp,
}

/// Why a device may not enrol.
#[derive(Debug, Error)]
pub enum EnrolmentRefused {
    /// Nobody made the token.
    #[error("use an enrolment token that nobody made")]
    Unknown,
    /// The token came too late.
    #[error("use an enrolment token that has expired")]
    Expired,
    /// All its uses are used up.
    #[error("use an enrolment token that is used up")]
    UsedUp,
    /// The database failed.
    #[error("look an enrolment token up")]
    Store(#[from] StoreError),
}

fn read_grant(row: &Row) -> Result<EnrolmentGrant, StoreError> {
    Ok(EnrolmentGrant {
        product: row.parsed("product")?,
        hardware: row.parsed("hardware")?,
        criticality: row.parsed("criticality")?,
        sensitivity: row.parsed("sensitivity")?,
        segment: row.parsed_opt("segment")?,
        uses_left: row.unsigned("uses_left")?,
        expires: row.time("expires")?,
    })
}

fn read_token(row: &Row) -> Result<ApiToken, StoreError> {
    Ok(ApiToken {
        id: row.text("id")?,
        hash: row.parsed("hash")?,
        name: row.text("name")?,
        expires: row.time_opt("expires")?,
    })
}

impl Store {
    /// Keeps a login link that is good for one use.
    pub async fn create_login_link(&self, hash: &Sha256Digest, expires: Timestamp) -> Result<(), StoreError> {
        Upsert::into("login_links").key("hash", *hash).set("expires", expires).run(self.writer()).await
    }

    /// Uses a login link.
    pub async fn use_login_link(&self, hash: &Sha256Digest, now: Timestamp) -> Result<LinkUse, StoreError> {
        let text = "UPDATE login_links SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires > $2";
        let used = Statement::new("login_links", text).arg(*hash).arg(now).run(self.writer()).await?;
        if used > 0 {
            return Ok(LinkUse::Accepted);
        }
        let text = "SELECT hash, used_at FROM login_links WHERE hash = $1";
        let used_at = Statement::new("login_links", text)
            .arg(*hash)
            .read_one(self.reader(), |row| row.time_opt("used_at"))
            .await?;
        Ok(match used_at {
            None => LinkUse::Unknown,
            Some(Some(_)) => LinkUse::UsedUp,
            Some(None) => LinkUse::Expired,
        })
    }

    /// Keeps a session.
    pub async fn create_session(&self, hash: &Sha256Digest, expires: Timestamp) -> Result<(), StoreError> {
        Upsert::into("sessions").key("hash", *hash).set("expires", expires).run(self.writer()).await
    }

    /// Looks a session up.
    pub async fn session(&self, hash: &Sha256Digest, now: Timestamp) -> Result<SessionState, StoreError> {
        let text = "SELECT hash, expires FROM sessions WHERE hash = $1 AND expires > $2";
        let until = Statement::new("sessions", text)
            .arg(*hash)
            .arg(now)
            .read_one(self.reader(), |row| row.time("expires"))
            .await?;
        Ok(until.map_or(SessionState::Gone, |until| SessionState::Live { until }))
    }

    /// Ends a session.
    pub async fn delete_session(&self, hash: &Sha256Digest) -> Result<(), StoreError> {
        Statement::new("sessions", "DELETE FROM sessions WHERE hash = $1")
            .arg(*hash)
            .run(self.writer())
            .await
            .map(|_| ())
    }

    /// Forgets sessions and login links that ended before `now`; returns how many.
    pub async fn remove_expired(&self, now: Timestamp) -> Result<u64, StoreError> {
        let sessions = Statement::new("sessions", "DELETE FROM sessions WHERE expires <= $1");
        let links = Statement::new("login_links", "DELETE FROM login_links WHERE expires <= $1");
        Ok(sessions.arg(now).run(self.writer()).await? + links.arg(now).run(self.writer()).await?)
    }

    /// Keeps a token for programs.
    pub async fn create_token(&self, token: &ApiToken) -> Result<(), StoreError> {
        Upsert::into("tokens")
            .key("id", token.id.as_str())
            .set("hash", token.hash)
            .set("name", token.name.as_str())
            .set("expires", token.expires)
            .run(self.writer())
            .await
    }

    /// Returns a token by its public part.
    pub async fn token(&self, id: &str) -> Result<Option<ApiToken>, StoreError> {
        Statement::new("tokens", "SELECT * FROM tokens WHERE id = $1")
            .arg(id)
            .read_one(self.reader(), read_token)
            .await
    }

    /// Returns all tokens, by their public part.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        Statement::new("tokens", "SELECT * FROM tokens ORDER BY id").read(self.reader(), read_token).await
    }

    /// Takes a token back.
    pub async fn delete_token(&self, id: &str) -> Result<(), StoreError> {
        let query = Statement::new("tokens", "DELETE FROM tokens WHERE id = $1").arg(id);
        query.run(self.writer()).await.map(|_| ())
    }

    /// Keeps an enrolment token.
    pub async fn create_enrolment(
        &self,
        hash: &Sha256Digest,
        grant: &EnrolmentGrant,
    ) -> Result<(), StoreError> {
        Upsert::into("enrolments")
            .key("hash", *hash)
            .set("product", grant.product.as_str())
            .set("hardware", grant.hardware.as_str())
            .set("criticality", grant.criticality.word())
            .set("sensitivity", grant.sensitivity.word())
            .set("segment", grant.segment.as_ref().map(SegmentId::as_str))
            .set("uses_left", grant.uses_left)
            .set("expires", grant.expires)
            .run(self.writer())
            .await
    }

    /// Returns what an enrolment token grants, without using it.
    pub async fn enrolment(
        &self,
        hash: &Sha256Digest,
        now: Timestamp,
    ) -> Result<EnrolmentGrant, EnrolmentRefused> {
        let there = Statement::new("enrolments", "SELECT * FROM enrolments WHERE hash = $1")
            .arg(*hash)
            .read_one(self.reader(), read_grant)
            .await?;
        match there {
            None => Err(EnrolmentRefused::Unknown),
            Some(grant) if grant.expires <= now => Err(EnrolmentRefused::Expired),
            Some(grant) if grant.uses_left == 0 => Err(EnrolmentRefused::UsedUp),
            Some(grant) => Ok(grant),
        }
    }

    /// Takes one use of an enrolment token and keeps what `enlist` makes of the grant, both or neither: a crash never
    /// costs a use without a device. Returns the grant with the uses that are left.
    pub async fn enrol(
        &self,
        hash: &Sha256Digest,
        now: Timestamp,
        enlist: impl FnOnce(&EnrolmentGrant) -> Vec<Write>,
    ) -> Result<EnrolmentGrant, EnrolmentRefused> {
        let text = "UPDATE enrolments SET uses_left = uses_left - 1 \
             WHERE hash = $1 AND uses_left > 0 AND expires > $2 RETURNING *";
        let mut transaction = self.begin().await?;
        let taken = Statement::new("enrolments", text)
            .arg(*hash)
            .arg(now)
            .read_one(&mut *transaction, read_grant)
            .await?;
        if let Some(grant) = taken {
            self.write_and_end(transaction, &enlist(&grant)).await?;
            return Ok(grant);
        }
        let rolled_back = transaction.rollback().await;
        rolled_back.map_err(|source| StoreError::transaction("roll back", source))?;
        // Between the two statements another one may have taken the last use.
        self.enrolment(hash, now).await.and(Err(EnrolmentRefused::UsedUp))
    }
}
