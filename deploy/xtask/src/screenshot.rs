//! The picture of the page in the documentation. The browser test already knows how to start an exchange and a
//! browser and when the page is worth looking at, so the picture is one of its tests, run only on demand.

use crate::cargo::{cargo, root};
use crate::install;
use crate::steps::Step;

const PICTURE: &str = "docs/images/page.png";

pub fn steps() -> Vec<Step> {
    let test = ["test", "--release", "-p", "gateway", "--test", "promises"];
    let mut picture = cargo(test);
    picture.args(["browser::picture_of_the_page", "--", "--exact", "--ignored", "--nocapture"]);
    picture.env("RINGSIDE_PICTURE", root().join(PICTURE));
    vec![install::step(), Step::command(format!("picture: {PICTURE}"), picture)]
}
