//! A person opens the page and can trade.
//!
//! The page comes from the exchange itself, finds its socket, shows a book that moves, takes an order through its
//! form, lists it, and cancels it on a click; all money is free again afterwards. On a phone it scrolls down but
//! never sideways. The browser's console stays empty of errors, and so does the sequence chain of gaps.
//!
//! [`driver`] starts chromedriver and a headless Chromium. Where they are not installed these tests say so and are
//! skipped; `cargo xtask browser` installs them.

pub mod driver;

use std::path::PathBuf;
use std::{env, fs};

use driver::{Page, Screen, with_page};

#[test]
fn a_person_sees_the_book_move_and_trades() {
    with_page(Screen::Desk, |page| async move {
        page.wait_until("the book is live", LIVE).await;
        the_ladder_moves(&page).await;

        let price = a_price_that_rests(&page).await;
        page.wait_until("balances are shown", "return document.querySelectorAll('#balances tr').length > 0")
            .await;
        page.type_into("#price", &price).await;
        page.click("[data-percent='25']").await;
        page.click("#submit-order").await;
        page.wait_until("the order is open", OPEN).await;
        assert_eq!(page.text_of("#open-orders td:nth-child(3)").await.replace(',', ""), price);
        page.wait_until("it holds money", "return !(".to_owned() + NOTHING_HELD + ")").await;
        picture_if_asked_for(&page).await;

        page.click("#open-orders button.cancel").await;
        page.wait_until("the order is gone", "return !document.querySelector('#open-orders tr')").await;
        page.wait_until("its money is free again", "return ".to_owned() + NOTHING_HELD).await;

        assert_eq!(page.text_of("#gaps").await, "0");
        page.assert_console_is_clean().await;
    });
}

#[test]
fn a_refusal_is_shown_beside_the_form() {
    with_page(Screen::Desk, |page| async move {
        page.wait_until("the book is live", LIVE).await;
        let price = a_price_that_rests(&page).await;
        page.type_into("#price", &price).await;
        page.type_into("#quantity", "1000000000").await;
        page.click("#submit-order").await;
        let refused = "return document.querySelector('#form-message').dataset.kind === 'bad'";
        page.wait_until("the refusal is shown", refused).await;
        let message = page.text_of("#form-message").await;
        assert!(message.contains("INSUFFICIENT_BALANCE"), "the form says: {message}");
        page.wait_until("nothing stays open", "return !document.querySelector('#open-orders tr')").await;
        page.assert_console_is_clean().await;
    });
}

#[test]
fn a_phone_scrolls_down_but_never_sideways() {
    with_page(Screen::Phone, |page| async move {
        page.wait_until("the book is live", LIVE).await;
        the_ladder_moves(&page).await;
        let widths = page.script("return [innerWidth, document.documentElement.scrollWidth]").await;
        assert_eq!(widths, serde_json::json!([375, 375]), "window, and what it would take to show all");
        page.click("[data-quick-side='sell']").await;
        page.wait_until("the form is for selling", "return document.querySelector('#side-sell').checked")
            .await;
        page.assert_console_is_clean().await;
    });
}

const LIVE: &str = "return document.querySelector('#connection-state').dataset.state === 'live'";

const OPEN: &str = "return document.querySelector('#open-orders tr')?.dataset.status === 'new'";

/// Every cell of the column "In orders", exact.
const NOTHING_HELD: &str =
    "[...document.querySelectorAll('#balances td:nth-child(3)')].every((cell) => cell.title === '0')";

/// Candles need their time: this much trading makes a picture that shows what the chart is.
const ENOUGH_FOR_A_PICTURE: &str = "
    window.firstLook ??= Date.now();
    return Date.now() - window.firstLook > 40_000 && document.querySelectorAll('#tape tr').length > 30";

/// Two different states of the visible rows.
async fn the_ladder_moves(page: &Page) {
    let rows = "return [...document.querySelectorAll('.ladder-row[data-price]')].map((row) => row.textContent).join()";
    let before = page.script(rows).await;
    let moved = format!("{rows} !== {before}");
    page.wait_until("the ladder moves", moved).await;
}

/// Two percent below the best bid: far from the touch, inside any price band, on the tick.
async fn a_price_that_rests(page: &Page) -> String {
    let best = page.attribute_of("#bids .ladder-row[data-price]", "data-price").await;
    let tick = page.text_of("#grouping option").await;
    let decimals = tick.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let price = best.parse::<f64>().expect("a price is a number") * 0.98;
    let text = format!("{price:.decimals$}");
    // As the exchange writes it, so that the page can be compared with what was typed.
    if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `cargo xtask screenshot` wants the page for the documentation, and this test has it in its best state.
async fn picture_if_asked_for(page: &Page) {
    let Some(path) = env::var_os("RINGSIDE_PICTURE").map(PathBuf::from) else { return };
    page.wait_until("there is something to show", ENOUGH_FOR_A_PICTURE).await;
    fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder can be made");
    fs::write(path, page.picture().await).expect("the picture can be written");
}
