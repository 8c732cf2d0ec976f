//! The real binary against itself: set up, serve, ask, sign, stop. Loopback only.

#[cfg(test)]
mod desk;

use desk::Desk;

#[test]
fn a_fleet_is_set_up_served_and_stopped() {
    let desk = Desk::new();
    desk.check(&["setup", "--keys", "keys"], 0, "CA fingerprint", "3 of 5");
    desk.check(&["setup", "--keys", "keys"], 0, "CA fingerprint", "set up before");
    desk.check(&["setup", "--keys", "others"], 5, "", "other offline keys");
    assert!(!desk.path("others").exists(), "no keys are made for nothing");
    let mut server = desk.serve();
    desk.check(&["status"], 0, "nothing needs a person", "");
    desk.check(&["product", "set", "cam", "--name", "Camera", "--board", "b1"], 0, "cam", "");
    desk.check(&["product", "list"], 0, "Camera", "");
    desk.check(&["device", "list"], 0, "", "enrol-token");
    desk.check(&["device", "show", "nobody"], 3, "", "there is no device nobody");
    desk.check(&["status", "--token", "fwt_admin_wrong"], 4, "", "hint:");
    desk.check(&["product", "set", "cam", "--name", "", "--board", "b1"], 6, "", "name");
    desk.check(&["doctor"], 10, "server certificate", "");
    release(&desk);
    desk.check(&["login", "--json"], 0, "/login?token=", "");
    server.stop();
    desk.check(&["status"], 7, "", "is the server running?");
}

/// An image becomes a release that people have signed.
fn release(desk: &Desk) {
    let upload = [
        "release",
        "upload",
        "image.tar",
        "--product",
        "cam",
        "--version",
        "1.0",
        "--wait",
        "--timeout",
        "30s",
    ];
    desk.check(&upload, 0, "proven", "");
    desk.check(&["release", "sbom", "cam-1.0"], 0, "CycloneDX", "");
    desk.check(&["release", "sign", "--keys", "keys"], 2, "", "--yes");
    desk.check(&["release", "sign", "cam-2.0", "--keys", "keys", "--yes"], 5, "", "what waits is cam-1.0");
    desk.check(
        &["release", "sign", "--keys", "keys", "--yes", "--image", "keys/root.pem"],
        5,
        "",
        "do not sign this",
    );
    desk.check(
        &["release", "sign", "cam-1.0", "--keys", "keys", "--yes", "--image", "image.tar"],
        0,
        "cam-1.0",
        "new",
    );
    desk.check(&["release", "show", "cam-1.0"], 0, "signed", "");
    desk.check(&["rollout", "start", "none"], 3, "", "there is no rollout none");
}

#[test]
fn errors_are_json_where_data_is() {
    let desk = Desk::new();
    let (code, out, err) = desk.run(&["status", "--json"]);
    assert_eq!((code, out.as_str()), (3, ""), "there is no certificate to trust yet: {err}");
    let error: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!(error["error"]["code"], "not-found");
    let (code, _, err) = desk.run(&["stauts", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&err).unwrap();
    assert_eq!((code, &error["error"]["code"]), (2, &"usage".into()));
}

#[test]
fn a_setting_that_does_not_fit_is_refused_before_anything_happens() {
    let desk = Desk::new();
    std::fs::write(desk.path("fleetwarden.toml"), "[serve]\npoll = \"often\"\n").unwrap();
    desk.check(&["status"], 6, "", "file fleetwarden.toml");
}
