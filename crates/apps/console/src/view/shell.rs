//! The frame around every page: navigation, landmarks, help.

use maud::{DOCTYPE, Markup, html};
use warden_model::Timestamp;

use super::moment::stamp;
use crate::App;
use crate::assets::{ICON, SCRIPT, STYLE};

/// A part of the console, as the navigation lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// What needs you.
    Now,
    /// The fleet.
    Devices,
    /// Advisories and cases.
    Risk,
    /// Scans.
    Scans,
    /// Releases.
    Releases,
    /// Rollouts.
    Rollouts,
    /// Shields.
    Shields,
    /// Alerts.
    Alerts,
}

impl Section {
    const ALL: [Self; 8] = [
        Self::Now,
        Self::Devices,
        Self::Risk,
        Self::Scans,
        Self::Releases,
        Self::Rollouts,
        Self::Shields,
        Self::Alerts,
    ];

    const fn title(self) -> &'static str {
        match self {
            Self::Now => "Now",
            Self::Devices => "Devices",
            Self::Risk => "Risk",
            Self::Scans => "Scans",
            Self::Releases => "Releases",
            Self::Rollouts => "Rollouts",
            Self::Shields => "Shields",
            Self::Alerts => "Alerts",
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Now => "/",
            Self::Devices => "/devices",
            Self::Risk => "/risk",
            Self::Scans => "/scans",
            Self::Releases => "/releases",
            Self::Rollouts => "/rollouts",
            Self::Shields => "/shields",
            Self::Alerts => "/alerts",
        }
    }

    /// Returns the key that, after `g`, leads here.
    const fn key(self) -> char {
        match self {
            Self::Now => 'n',
            Self::Devices => 'd',
            Self::Risk => 'k',
            Self::Scans => 'c',
            Self::Releases => 'l',
            Self::Rollouts => 'r',
            Self::Shields => 's',
            Self::Alerts => 'a',
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Fleetwarden" }
            link rel="icon" type="image/svg+xml" href=(ICON.path);
            link rel="stylesheet" href=(STYLE.path);
            // Not deferred: it sets the chosen theme before the first paint.
            script src=(SCRIPT.path) {}
        }
    }
}

fn brand() -> Markup {
    html! {
        svg.mark viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" {
            path d="M12 1.8l8.4 3v6.6c0 5.2-3.5 8.8-8.4 10.8-4.9-2-8.4-5.6-8.4-10.8V4.8z" {}
            path.inner d="M7.6 11.8l3.2 3.2 5.8-6.4" {}
        }
    }
}

fn navigation(app: &App, section: Section) -> Markup {
    html! {
        header.side {
            a.brand href="/" { (brand()) span { "Fleetwarden" } }
            p.fleet title="This fleet" { (app.fleet()) }
            nav aria-label="Main" {
                ul {
                    @for one in Section::ALL {
                        li {
                            a href=(one.path()) data-key=(one.key()) aria-current=[(one == section).then_some("page")] {
                                (one.title())
                            }
                        }
                    }
                }
            }
            div.tools {
                button #theme type="button" { "Theme" }
                button #help-open type="button" { "Keys" }
                form method="post" action="/logout" { button type="submit" { "Log out" } }
            }
        }
    }
}

fn help() -> Markup {
    html! {
        dialog #help aria-labelledby="help-title" {
            h2 #help-title { "Keys" }
            dl.keys {
                dt { kbd { "/" } } dd { "search devices" }
                @for section in Section::ALL {
                    dt { kbd { "g" } " " kbd { (section.key()) } } dd { "go to " (section.title()) }
                }
                dt { kbd { "?" } } dd { "this list" }
                dt { kbd { "Esc" } } dd { "close" }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}

/// Draws a page of the console.
pub(crate) fn shell(app: &App, section: Section, title: &str, now: Timestamp, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body {
                a.skip href="#main" { "Skip to the content" }
                (navigation(app, section))
                main #main tabindex="-1" {
                    (body)
                    footer.updated { "Updated at " (stamp(now, now)) }
                }
                (help())
            }
        }
    }
}

/// Draws a page without navigation: for people without a session, and for failures.
pub(crate) fn bare(title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(title))
            body.bare {
                main #main {
                    p.brand { (brand()) span { "Fleetwarden" } }
                    (body)
                }
            }
        }
    }
}
