//! The picture of the page in the documentation. The browser test already starts an exchange and a browser and
//! brings the page into its best state, so it takes the picture on the way when it is told where to.

use crate::cargo::{cargo, root};
use crate::install;
use crate::steps::Step;

const PICTURE: &str = "docs/images/page.png";

pub fn steps() -> Vec<Step> {
    let test = ["test", "--release", "-p", "gateway", "--test", "promises", "a_person_sees_the_book"];
    let mut picture = cargo(test);
    picture.env("RINGSIDE_PICTURE", root().join(PICTURE));
    vec![install::step(), Step::command(format!("picture: {PICTURE}"), picture)]
}
