//! A release waits for its patches, and goes on.

use warden_model::release::{PatchState, ReleaseState};

use super::{World, at, events};
use crate::testing::change_release;
use crate::turn::delta::run;

async fn state(world: &World) -> (ReleaseState, String) {
    let release = world.context.store.release(&"cam-1.1".parse().unwrap()).await.unwrap().unwrap();
    (release.state, release.reason)
}

#[tokio::test]
async fn a_release_goes_on_when_its_patches_are_ready_or_cannot_be() {
    let world = World::new().await;
    change_release(&world.context, ReleaseState::Analysed).await;
    // What the devices run is not among the artifacts: there is nothing to wait for.
    run(&world.context, at(0)).await.unwrap();
    let (now, reason) = state(&world).await;
    assert_eq!(now, ReleaseState::Built);
    let expected =
        "from 1.0: full image, because the image that these devices run is not among the artifacts";
    assert_eq!(reason, format!("{expected}; all patches are ready"));
    assert_eq!(events(&world.context).await, ["- patches built"]);
}

#[tokio::test]
async fn a_release_that_waits_says_for_what_and_goes_on_in_the_end() {
    let world = World::new().await;
    let image = world.context.store.release(&"cam-1.1".parse().unwrap()).await.unwrap().unwrap().image;
    // With the release's own image in its place, the base is there to build from.
    for name in ["cam-1", "cam-2"] {
        let mut device = world.context.store.device(&name.parse().unwrap()).await.unwrap().unwrap();
        let mut file = world.context.artifacts.create().unwrap();
        file.write(b"the image before").unwrap();
        device.confirmed.as_mut().unwrap().image = file.finish().unwrap().digest;
        world.context.store.commit(&[warden_store::Write::Device(device)]).await.unwrap();
    }
    change_release(&world.context, ReleaseState::Analysed).await;
    run(&world.context, at(0)).await.unwrap();
    let (now, reason) = state(&world).await;
    assert_eq!(now, ReleaseState::Analysed);
    assert!(
        reason.starts_with("patches are ready for 0 of 2 devices (0 %); it goes on at 90 %, or at "),
        "{reason}"
    );
    let jobs = world.context.store.patch_jobs_to(&image).await.unwrap();
    assert_eq!((jobs.len(), jobs[0].state, jobs[0].devices), (1, PatchState::Waiting, 2));
    run(&world.context, at(1_799)).await.unwrap();
    assert_eq!(state(&world).await.0, ReleaseState::Analysed);
    run(&world.context, at(1_800)).await.unwrap();
    let (now, reason) = state(&world).await;
    assert_eq!(now, ReleaseState::Built);
    assert!(reason.starts_with("from 1.0: waiting; patches are ready for 0 of 2 devices"), "{reason}");
}
