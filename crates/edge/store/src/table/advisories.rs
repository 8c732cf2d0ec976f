//! Advisories, and their findings in firmware.

use sqlx::SqliteConnection;
use warden_model::advisory::{Advisory, Automatable, TechnicalImpact};
use warden_model::case::Finding;
use warden_model::{AdvisoryId, PerMille, Sha256Digest};

use crate::error::StoreError;
use crate::form;
use crate::row::Row;
use crate::sql::{Statement, Upsert};
use crate::store::Store;

pub(crate) async fn write(on: &mut SqliteConnection, advisory: &Advisory) -> Result<(), StoreError> {
    Upsert::into("advisories")
        .key("id", advisory.id.as_str())
        .set("aliases", form::encode("advisories", "aliases", &advisory.aliases)?)
        .set("summary", advisory.summary.as_str())
        .set("published", advisory.published)
        .set("modified", advisory.modified)
        .set("withdrawn", advisory.withdrawn)
        .set("cvss", advisory.cvss.as_deref())
        .set("exploitation", advisory.exploitation.word())
        .set("automatable", advisory.automatable.map(Automatable::word))
        .set("technical_impact", advisory.technical_impact.map(TechnicalImpact::word))
        .set("in_kev", u64::from(advisory.in_kev))
        .set("epss", advisory.epss.map(PerMille::get))
        .set("affected", form::encode("advisories", "affected", &advisory.affected)?)
        .set("known_at", advisory.known_at)
        .run(&mut *on)
        .await?;
    Statement::new("advisory_aliases", "DELETE FROM advisory_aliases WHERE advisory = $1")
        .arg(advisory.id.as_str())
        .run(&mut *on)
        .await?;
    for alias in &advisory.aliases {
        Upsert::into("advisory_aliases")
            .key("alias", alias.as_str())
            .key("advisory", advisory.id.as_str())
            .run(&mut *on)
            .await?;
    }
    Ok(())
}

pub(crate) async fn write_finding(on: &mut SqliteConnection, finding: &Finding) -> Result<(), StoreError> {
    Upsert::into("findings")
        .key("image", finding.image)
        .key("advisory", finding.advisory.as_str())
        .key("component", finding.component.to_string())
        .key("path", finding.path.as_str())
        .set("product", finding.product.as_str())
        .set("reason", finding.reason.as_str())
        .set("fixed_in", finding.fixed_in.as_deref())
        .run(on)
        .await
}

pub(crate) async fn remove_findings(
    on: &mut SqliteConnection,
    image: Sha256Digest,
) -> Result<(), StoreError> {
    Statement::new("findings", "DELETE FROM findings WHERE image = $1").arg(image).run(on).await.map(|_| ())
}

fn read(row: &Row) -> Result<Advisory, StoreError> {
    Ok(Advisory {
        id: row.parsed("id")?,
        aliases: row.form("aliases")?,
        summary: row.text("summary")?,
        published: row.time("published")?,
        modified: row.time("modified")?,
        withdrawn: row.time_opt("withdrawn")?,
        cvss: row.text_opt("cvss")?,
        exploitation: row.parsed("exploitation")?,
        automatable: row.parsed_opt("automatable")?,
        technical_impact: row.parsed_opt("technical_impact")?,
        in_kev: row.unsigned::<u8>("in_kev")? != 0,
        epss: row.per_mille_opt("epss")?,
        affected: row.form("affected")?,
        known_at: row.time("known_at")?,
    })
}

/// Reads the columns of a finding, which stand in the rows of cases too.
pub(crate) fn read_finding(row: &Row) -> Result<Finding, StoreError> {
    Ok(Finding {
        image: row.parsed("image")?,
        product: row.parsed("product")?,
        advisory: row.parsed("advisory")?,
        component: row.parsed("component")?,
        path: row.text("path")?,
        reason: row.text("reason")?,
        fixed_in: row.text_opt("fixed_in")?,
    })
}

impl Store {
    /// Returns an advisory by its id, else the first one that has this id as an alias.
    pub async fn advisory(&self, id: &AdvisoryId) -> Result<Option<Advisory>, StoreError> {
        let text = "SELECT * FROM advisories a WHERE a.id = $1 \
             OR a.id IN (SELECT s.advisory FROM advisory_aliases s WHERE s.alias = $1) \
             ORDER BY CASE WHEN a.id = $1 THEN 0 ELSE 1 END, a.id LIMIT 1";
        Statement::new("advisories", text).arg(id.as_str()).read_one(self.reader(), read).await
    }

    /// Returns all advisories, the one that became known last first.
    pub async fn advisories(&self) -> Result<Vec<Advisory>, StoreError> {
        Statement::new("advisories", "SELECT * FROM advisories ORDER BY known_at DESC, id")
            .read(self.reader(), read)
            .await
    }

    /// Returns how many advisories there are.
    pub async fn advisory_count(&self) -> Result<u64, StoreError> {
        Statement::new("advisories", "SELECT count(*) AS n FROM advisories").number(self.reader()).await
    }

    /// Returns all findings, by firmware, then by advisory.
    pub async fn all_findings(&self) -> Result<Vec<Finding>, StoreError> {
        let text = "SELECT * FROM findings ORDER BY image, advisory, component, path";
        Statement::new("findings", text).read(self.reader(), read_finding).await
    }

    /// Returns the findings in a firmware, by advisory.
    pub async fn findings(&self, image: &Sha256Digest) -> Result<Vec<Finding>, StoreError> {
        let text = "SELECT * FROM findings WHERE image = $1 ORDER BY advisory, component, path";
        Statement::new("findings", text).arg(*image).read(self.reader(), read_finding).await
    }

    /// Returns the findings of an advisory, by firmware.
    pub async fn findings_of_advisory(&self, advisory: &AdvisoryId) -> Result<Vec<Finding>, StoreError> {
        let text = "SELECT * FROM findings WHERE advisory = $1 ORDER BY product, image, component, path";
        Statement::new("findings", text).arg(advisory.as_str()).read(self.reader(), read_finding).await
    }
}
