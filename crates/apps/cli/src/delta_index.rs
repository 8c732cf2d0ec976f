//! `delta index`: an image in pieces, without any server.
//!
//! In: files, and folders that hold the parts of an index. Out: an index; what of it a device would fetch; the image made of
//! that. Refuses: images above the limits, parts that do not belong together, a result whose digest is not the promised one.

use std::fs::{self, File};
use std::io::{self, Cursor, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand};
use serde_json::json;
use warden_delta::ApplyLimits;
use warden_delta::index::{
    ChunkList, FetchPlan, Fetched, ImageMap, IndexError, IndexHead, IndexLimits, Owned, Sources, assemble,
    make_index, plan_fetch,
};
use warden_model::{ByteCount, PerMille};

use crate::delta::{read, write_whole};
use crate::failure::{Exit, Failure, Outcome};
use crate::output::Page;
use crate::session::Session;

/// The names of the parts of an index in its folder.
const PARTS: [&str; 4] = ["head", "map", "list", "content"];

/// The index of an image, by which any device fetches only what it lacks, whatever it runs
#[derive(Debug, Subcommand)]
pub(crate) enum IndexCommand {
    /// Makes the index of IMAGE: a folder with its four parts
    #[command(
        after_help = "Example:\n  fleetwarden delta index make camera-1.1.squashfs -o camera-1.1.index"
    )]
    Make(MakeArgs),
    /// Shows what a device that has OLD would fetch of the image of INDEX
    #[command(
        after_help = "Example:\n  fleetwarden delta index plan camera-1.0.squashfs camera-1.1.index --own camera-1.0.index"
    )]
    Plan(PlanArgs),
    /// Makes the image of INDEX from OLD and the ranges of the content that OLD lacks
    #[command(
        after_help = "Example:\n  fleetwarden delta index apply camera-1.0.squashfs camera-1.1.index --own camera-1.0.index -o camera-1.1.squashfs"
    )]
    Apply(ApplyArgs),
}

/// Of what, where to.
#[derive(Debug, Args)]
pub(crate) struct MakeArgs {
    /// The image
    image: PathBuf,
    /// The folder for the parts; it is made
    #[arg(long, short, value_name = "INDEX")]
    output: PathBuf,
}

/// From what, by what.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The image that the device has
    old: PathBuf,
    /// The folder with the index of the image that it should get
    index: PathBuf,
    /// The folder with the index of OLD; without it, nothing of OLD is unpacked
    #[arg(long, value_name = "INDEX")]
    own: Option<PathBuf>,
}

/// From what, by what, where to.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    plan: PlanArgs,
    /// Where the new image goes
    #[arg(long, short, value_name = "NEW")]
    output: PathBuf,
}

/// Runs a command.
pub(crate) fn run(command: &IndexCommand, session: &mut Session) -> Outcome {
    match command {
        IndexCommand::Make(args) => make(args, session),
        IndexCommand::Plan(args) => plan(args, session),
        IndexCommand::Apply(args) => apply(args, session),
    }
}

fn make(args: &MakeArgs, session: &mut Session) -> Outcome {
    let limits = IndexLimits::default();
    let image = read(&args.image, limits.image_bytes_max)?;
    let made = make_index(&image, &limits).map_err(|error| Failure::invalid("make the index", &error))?;
    fs::create_dir_all(&args.output).map_err(|error| Failure::file("make", &args.output, &error))?;
    for (name, part) in PARTS.iter().zip([&made.head, &made.map, &made.list, &made.content]) {
        write_whole(&args.output.join(name), |file| file.write_all(part))?;
    }
    let about = &made.about;
    let all = json!({
        "index": args.output,
        "image": about.image.to_string(),
        "image_bytes": about.image_size.0,
        "plain_bytes": about.plain_size.0,
        "map_bytes": about.map.size.0,
        "list_bytes": about.list.size.0,
        "content_bytes": about.content.size.0,
    });
    session.output.show(&all, |_| {
        Page::new()
            .field("index", args.output.display().to_string())
            .field("of", format!("{} ({})", about.image, about.image_size))
            .field("unpacked", about.plain_size.to_string())
            .field("map and list", format!("{}, which every device loads", about.fixed_bytes()))
            .field("content", format!("{}, of which a device loads what it lacks", about.content.size))
    })?;
    Ok(Exit::Done)
}

/// An index, and the image that a device has, read.
struct Desk {
    old: File,
    head: IndexHead,
    map: ImageMap,
    list: ChunkList,
    own: ImageMap,
    own_bytes: u64,
    scratch: File,
}

impl Desk {
    fn open(args: &PlanArgs) -> Result<Self, Failure> {
        let file = |error: io::Error| Failure::file("read", &args.old, &error);
        let old = File::open(&args.old).map_err(file)?;
        let (head, map) = read_map(&args.index)?;
        let list = part(&args.index, "list")?;
        let list = ChunkList::read(&list, &head).map_err(|error| corrupt(&args.index, &error))?;
        let (own, own_bytes) = match &args.own {
            None => (ImageMap::unknown(old.metadata().map_err(file)?.len()), 0),
            Some(own) => read_map(own).map(|(head, map)| (map.for_reading(), head.map.size.0))?,
        };
        let scratch = tempfile::tempfile().map_err(|error| Failure::failed("make a scratch file", &error))?;
        Ok(Self { old, head, map: map.for_making(), list, own, own_bytes, scratch })
    }

    fn plan(&mut self) -> Result<FetchPlan, Failure> {
        let own = Owned { image: &mut self.old, map: &self.own, scratch: Some(&mut self.scratch) };
        plan_fetch(own, &self.list, &ApplyLimits::default())
            .map_err(|error| Failure::invalid("look for what is lacking", &error))
    }

    /// Returns all that a device would load.
    fn bytes(&self, plan: &FetchPlan) -> ByteCount {
        let fixed = self.head.fixed_bytes().0.saturating_add(self.own_bytes);
        ByteCount(fixed.saturating_add(plan.fetch_bytes()))
    }
}

fn part(index: &Path, name: &str) -> Result<Vec<u8>, Failure> {
    read(&index.join(name), IndexLimits::default().image_bytes_max)
}

fn read_map(index: &Path) -> Result<(IndexHead, ImageMap), Failure> {
    let head = IndexHead::read(&part(index, "head")?).map_err(|error| corrupt(index, &error))?;
    let map = ImageMap::read(&part(index, "map")?, &head).map_err(|error| corrupt(index, &error))?;
    Ok((head, map))
}

fn corrupt(index: &Path, error: &IndexError) -> Failure {
    Failure::invalid(&format!("read the index {}", index.display()), error)
        .hint("`fleetwarden delta index make IMAGE` makes it again")
}

fn plan(args: &PlanArgs, session: &mut Session) -> Outcome {
    let mut desk = Desk::open(args)?;
    let clock = Instant::now();
    let plan = desk.plan()?;
    let millis = clock.elapsed().as_millis();
    show(&desk, &plan, ("to plan", millis), session)
}

fn show(desk: &Desk, plan: &FetchPlan, (what, millis): (&str, u128), session: &mut Session) -> Outcome {
    let (bytes, image) = (desk.bytes(plan), desk.head.image_size);
    let all = json!({
        "image": desk.head.image.to_string(),
        "image_bytes": image.0,
        "map_bytes": desk.head.map.size.0.saturating_add(desk.own_bytes),
        "list_bytes": desk.head.list.size.0,
        "fetch_bytes": plan.fetch_bytes(),
        "requests": plan.ranges().len(),
        "bytes": bytes.0,
        "millis": u64::try_from(millis).unwrap_or(u64::MAX),
    });
    session.output.show(&all, |_| {
        let fixed = ByteCount(bytes.0.saturating_sub(plan.fetch_bytes()));
        Page::new()
            .field("image", format!("{} ({image})", desk.head.image))
            .field("maps and list", fixed.to_string())
            .field("content", format!("{} in {} ranges", ByteCount(plan.fetch_bytes()), plan.ranges().len()))
            .field("in all", format!("{bytes} ({} of the full {image})", PerMille::of(bytes.0, image.0)))
            .field("time", format!("{millis} ms {what}"))
    })?;
    Ok(Exit::Done)
}

fn apply(args: &ApplyArgs, session: &mut Session) -> Outcome {
    let mut desk = Desk::open(&args.plan)?;
    let plan = desk.plan()?;
    let content = part(&args.plan.index, "content")?;
    let mut fetched = Vec::new();
    for range in plan.ranges() {
        let start = usize::try_from(range.at).unwrap_or(usize::MAX);
        let len = usize::try_from(range.len).unwrap_or(usize::MAX);
        let bytes = content.get(start..).and_then(|content| content.get(..len));
        let cut = || Failure::new(Exit::Invalid, "the content of the index was cut".to_owned());
        fetched.extend_from_slice(bytes.ok_or_else(cut)?);
    }
    let clock = Instant::now();
    let mut outcome = Ok(());
    let written = write_whole(&args.output, |file| {
        outcome = desk.assemble(&plan, &fetched, file);
        if outcome.is_err() { Err(io::Error::other("the image could not be made")) } else { Ok(()) }
    });
    outcome.map_err(|error| match &error {
        IndexError::WriteResult { source } => Failure::file("write", &args.output, source),
        IndexError::ReadBase { source } => Failure::file("read", &args.plan.old, source),
        other => Failure::invalid("make the image", other),
    })?;
    written?;
    show(&desk, &plan, ("to make it", clock.elapsed().as_millis()), session)
}

impl Desk {
    fn assemble(
        &mut self,
        plan: &FetchPlan,
        fetched: &[u8],
        result: &mut dyn Write,
    ) -> Result<(), IndexError> {
        let own = Owned { image: &mut self.old, map: &self.own, scratch: Some(&mut self.scratch) };
        let wanted = Fetched { head: &self.head, map: &self.map, list: &self.list };
        let sources = Sources { own, fetched: &mut Cursor::new(fetched), plan };
        assemble(sources, &wanted, result, &ApplyLimits::default()).map(drop)
    }
}

#[cfg(test)]
mod tests;
