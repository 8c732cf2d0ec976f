//! `product`: what all devices of one kind have in common.

use clap::{Args, Subcommand};
use warden_model::product::Exposure;
use warden_model::{HardwareId, ProductId, Timestamp};
use warden_wire::rest::{Items, ProductBody};

use crate::cli::one_of;
use crate::failure::{Exit, Outcome};
use crate::list::{Paging, note_more};
use crate::output::{Page, Table};
use crate::session::Session;

/// Products: what all devices of one kind have in common
#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// Makes a product, or changes it
    #[command(
        after_help = "Example:\n  fleetwarden product set cam-x1 --name 'Camera X1' --board cam-x1-r2 --exposure open"
    )]
    Set(SetArgs),
    /// Lists all products
    #[command(after_help = "Example:\n  fleetwarden product list")]
    List(Paging),
}

/// What a product is like.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    /// The product
    #[arg(value_name = "PRODUCT")]
    id: ProductId,
    /// What people call it
    #[arg(long)]
    name: String,
    /// A board that its firmware runs on; give it once for each board
    #[arg(long = "board", value_name = "BOARD", required = true)]
    boards: Vec<HardwareId>,
    /// When the last update comes, for instance 2030-12-31T00:00:00Z; devices behind it are shielded
    #[arg(long, value_name = "MOMENT")]
    support_ends: Option<Timestamp>,
    /// How reachable its devices are for an attacker
    #[arg(long, default_value = "controlled", value_parser = one_of(Exposure::ALL.iter().map(|word| word.word())))]
    exposure: String,
}

/// Runs a command.
pub(crate) fn run(command: &ProductCommand, session: &mut Session) -> Outcome {
    match command {
        ProductCommand::Set(args) => set(args, session),
        ProductCommand::List(paging) => list(paging, session),
    }
}

fn set(args: &SetArgs, session: &mut Session) -> Outcome {
    let wanted = ProductBody {
        id: args.id.to_string(),
        name: args.name.clone(),
        boards: args.boards.iter().map(ToString::to_string).collect(),
        support_ends: args.support_ends.map(|moment| moment.to_string()),
        exposure: args.exposure.clone(),
    };
    let kept: ProductBody = session.client()?.put(&format!("/products/{}", args.id), &wanted)?;
    session.output.show(&kept, page)?;
    Ok(Exit::Done)
}

fn page(product: &ProductBody) -> Page {
    Page::new()
        .field("product", &product.id)
        .field("name", &product.name)
        .field("boards", product.boards.join(", "))
        .field("support ends", product.support_ends.as_deref().unwrap_or("no end known"))
        .field("exposure", &product.exposure)
}

fn list(paging: &Paging, session: &mut Session) -> Outcome {
    let products: Items<ProductBody> = session.client()?.list("/products", &Vec::new(), paging)?;
    session.output.show(&products, |products| {
        let mut table = Table::new(["product", "name", "boards", "support ends", "exposure"]);
        for product in &products.items {
            let ends = product.support_ends.as_deref().unwrap_or("no end known");
            table.push([&product.id, &product.name, &product.boards.join(", "), ends, &product.exposure]);
        }
        let hint = "there are no products yet: `fleetwarden product set` makes one";
        note_more(Page::new().table(table, hint), products)
    })?;
    Ok(Exit::Done)
}
