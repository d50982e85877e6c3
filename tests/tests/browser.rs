//! Looks at the page of `cinch report` in a real browser.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Result, ensure};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    browser::{self, Browser, Look, Tab},
    built,
};

const WIDE: Look = Look { width: 1280, dark: false, paper: false };
const NARROW: Look = Look { width: 375, dark: false, paper: false };

/// What does not fit: parts that stick out of the window, and cells whose content is cut.
const CUT: &str = include_str!("browser/cut.js");
/// Texts whose contrast is less than WCAG asks of an AA page.
const FAINT: &str = include_str!("browser/faint.js");
/// How many colours a picture has; it is decoded by the browser.
const COLOURS: &str = include_str!("browser/colours.js");

/// What is asked of the browser.
type Ask = fn(&mut Browser) -> Result<()>;

const ALL: [(&str, Ask); 7] = [
    ("nothing_sticks_out_and_all_can_be_read_at_any_width_light_and_dark", fits),
    ("the_filter_hides_what_does_not_fit_and_shows_it_again", filters),
    ("without_scripts_all_can_be_read", without_scripts),
    ("on_paper_all_is_unfolded_and_nothing_to_press_is_there", on_paper),
    ("names_and_messages_do_nothing_whatever_is_in_them", hostile),
    ("ten_thousand_pods_fold_and_can_be_filtered", many),
    ("all_can_be_reached_by_those_who_hear_the_page", accessible),
];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = ALL.map(|(name, ask)| {
        Trial::ignorable_test(name, move || {
            let Some(program) = browser::find() else {
                return Ok(Completion::ignored_with("needs chromium: tests/prepare browser"));
            };
            let asked = Browser::start(&program).and_then(|mut browser| ask(&mut browser));
            asked.map_err(|error| Failed::from(format!("{error:#}")))?;
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// A page, for as long as it is looked at.
struct Page {
    _folder: TempDir,
    file: PathBuf,
}

/// The report on a folder of manifests, as a page.
fn page(manifests: &Path) -> Result<Page> {
    let folder = tempfile::Builder::new().prefix("cinch-page-").tempdir()?;
    let mut command = Command::new(built::program("cinch", "CINCH_BIN")?);
    command.args(["report", "--output", "html", "--manifests"]).arg(manifests);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.is_empty(), "{said}");
    let file = folder.path().join("report.html");
    std::fs::write(&file, output.stdout)?;
    Ok(Page { _folder: folder, file })
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/report")
}

/// Nobody complains, and the picture is not empty.
fn sound(browser: &mut Browser, tab: &Tab) -> Result<()> {
    let picture = browser.picture(tab)?;
    let folder = tempfile::Builder::new().prefix("cinch-picture-").tempdir()?;
    let empty = folder.path().join("empty.html");
    std::fs::write(&empty, "<!DOCTYPE html><title>empty</title>")?;
    let canvas = browser.open(&empty, WIDE, true)?;
    let colours = browser.value(&canvas, &format!("({COLOURS})({})", json!(picture)))?;
    // Letters alone have some shades.
    ensure!(colours.as_u64() >= Some(40), "the picture has {colours} colours");
    let complaints = browser.complaints(tab)?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

fn is_empty(browser: &mut Browser, tab: &Tab, expression: &str, look: Look) -> Result<()> {
    let found = browser.value(tab, expression)?;
    ensure!(found == json!([]), "{look:?}: {found}");
    Ok(())
}

fn fits(browser: &mut Browser) -> Result<()> {
    let page = page(&fixture())?;
    let tab = browser.open(&page.file, WIDE, true)?;
    for dark in [false, true] {
        for width in [320, 375, 700, 760, 1000, 1280, 2200] {
            let look = Look { width, dark, paper: false };
            browser.look(&tab, look)?;
            is_empty(browser, &tab, CUT, look)?;
            is_empty(browser, &tab, FAINT, look)?;
        }
        sound(browser, &tab)?;
    }
    let ground = "getComputedStyle(document.body).backgroundColor";
    let dark = browser.value(&tab, ground)?;
    browser.look(&tab, WIDE)?;
    ensure!(browser.value(&tab, ground)? != dark, "light and dark are the same");
    Ok(())
}

/// The names of the workloads that are shown.
const SHOWN: &str = "[...document.querySelectorAll('details.group tbody > tr')]
    .filter((row) => row.checkVisibility()).map((row) => row.querySelector('.name').textContent)";

/// Puts a text into the filter, and waits for what comes of it.
fn filter(browser: &mut Browser, tab: &Tab, text: &str) -> Result<()> {
    browser.value(
        tab,
        "document.getElementById('filter').focus(); document.getElementById('filter').select()",
    )?;
    browser.types(tab, text)?;
    // Typing is let settle before rows are looked at.
    browser.value(tab, "new Promise((done) => setTimeout(done, 200))")?;
    Ok(())
}

fn press(browser: &mut Browser, tab: &Tab, state: &str) -> Result<()> {
    let button = format!("document.querySelector('#tools button[data-state=\"{state}\"]').click()");
    browser.value(tab, &button).map(drop)
}

fn filters(browser: &mut Browser) -> Result<()> {
    let page = page(&fixture())?;
    let tab = browser.open(&page.file, WIDE, true)?;
    ensure!(browser.value(&tab, SHOWN)?.as_array().map(Vec::len) == Some(12), "not all at first");
    filter(browser, &tab, "nginx")?;
    ensure!(browser.value(&tab, SHOWN)? == json!(["storefront"]), "by an image");
    let said = browser.value(&tab, "document.getElementById('shown').textContent")?;
    ensure!(said == "1 of 12 fit", "{said}");
    filter(browser, &tab, "PAYMENTS ledger")?;
    ensure!(browser.value(&tab, SHOWN)? == json!(["ledger"]), "by namespace and name");
    filter(browser, &tab, "nothing is called so")?;
    ensure!(browser.value(&tab, SHOWN)? == json!([]), "nothing");
    let told = browser.value(&tab, "document.getElementById('nothing').checkVisibility()")?;
    ensure!(told == json!(true), "it is not said that nothing fits");
    filter(browser, &tab, "shop")?;
    press(browser, &tab, "Recording")?;
    ensure!(browser.value(&tab, SHOWN)? == json!(["checkout"]), "by state, too");
    browser.look(&tab, NARROW)?;
    is_empty(browser, &tab, CUT, NARROW)?;
    ensure!(browser.value(&tab, SHOWN)? == json!(["checkout"]), "rows come back when it is narrow");
    filter(browser, &tab, " ")?;
    press(browser, &tab, "")?;
    ensure!(browser.value(&tab, SHOWN)?.as_array().map(Vec::len) == Some(12), "not all again");
    sound(browser, &tab)
}

fn without_scripts(browser: &mut Browser) -> Result<()> {
    let page = page(&fixture())?;
    let tab = browser.open(&page.file, NARROW, false)?;
    ensure!(browser.value(&tab, SHOWN)?.as_array().map(Vec::len) == Some(12), "rows are missing");
    let tools = browser.value(&tab, "document.getElementById('tools').checkVisibility()")?;
    ensure!(tools == json!(false), "there is a filter that does nothing");
    is_empty(browser, &tab, CUT, NARROW)?;
    sound(browser, &tab)
}

fn on_paper(browser: &mut Browser) -> Result<()> {
    let folder = tempfile::tempdir()?;
    pods(folder.path(), 200)?;
    let page = page(folder.path())?;
    let look = Look { width: 794, dark: false, paper: true };
    // Also without the script that unfolds it.
    let tab = browser.open(&page.file, look, false)?;
    let low = "[...document.querySelectorAll('details.group')]
        .filter((group) => group.getBoundingClientRect().height < 100).length";
    ensure!(browser.value(&tab, low)? == json!(0), "namespaces are folded");
    let tools = browser.value(&tab, "document.getElementById('tools').checkVisibility()")?;
    ensure!(tools == json!(false), "there is a filter on paper");
    is_empty(browser, &tab, CUT, look)?;
    is_empty(browser, &tab, FAINT, look)
}

fn hostile(browser: &mut Browser) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let attack = "</td></title></style></script><script>window.broken=1</script>\
        <img src=http://127.0.0.1:9/x onerror=window.broken=2>\" onmouseover=\"window.broken=3\" x='";
    let long = "w".repeat(5000);
    let group = "security-profiles-operator.x-k8s.io/v1";
    let all = json!({ "apiVersion": "v1", "kind": "List", "items": [
        { "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": attack, "labels": { "spo.x-k8s.io/enable-binding": "" } } },
        { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": attack, "namespace": attack },
          "spec": { "containers": [
            { "name": attack, "image": attack, "securityContext": { "seLinuxOptions": { "type": attack },
              "seccompProfile": { "type": "Localhost", "localhostProfile": attack } } },
            { "name": long, "image": long, "securityContext": { "seLinuxOptions": { "type": long } } },
          ] } },
        { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": long, "namespace": long },
          "spec": { "containers": [{ "name": long, "image": long }] } },
        { "apiVersion": group, "kind": "ProfileRecording", "metadata": { "name": attack, "namespace": attack },
          "spec": { "kind": "SeccompProfile", "podSelector": {} },
          "status": { "phase": "Recording", "containers": [{ "name": attack, "profile": attack, "seen": 9,
            "lastNewAt": "2026-11-30T00:00:00Z", "history": [{ "at": "2026-11-30T00:00:00Z", "seen": 9 }] },
            { "name": long, "profile": long, "seen": -5, "stableSeconds": 9_000_000_000_000_000_000_i64, "lost": 1,
              "lastNewAt": "2026-11-30T00:00:00Z", "history": [{ "at": "2026-11-30T00:00:00Z", "seen": -3 }] }] } },
        { "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e", "namespace": attack },
          "eventTime": "2026-11-30T00:00:00.000000Z", "reason": "ProfileViolation", "note": attack,
          "reportingController": "cinch-recorder", "regarding": { "namespace": attack, "name": attack } },
    ]});
    std::fs::write(folder.path().join("all.json"), all.to_string())?;
    let page = page(folder.path())?;
    for look in [WIDE, NARROW] {
        let tab = browser.open(&page.file, look, true)?;
        ensure!(browser.value(&tab, "window.broken")?.is_null(), "something of it ran");
        let foreign =
            "document.querySelectorAll('img,iframe,link,[onerror],[onmouseover],[src]').length
            + document.scripts.length + document.styleSheets.length";
        ensure!(browser.value(&tab, foreign)? == json!(2), "something of it became markup");
        let said =
            browser.value(&tab, "document.body.textContent.split('window.broken=3').length")?;
        ensure!(said.as_u64() > Some(8), "it is not shown as it is: {said}");
        is_empty(browser, &tab, CUT, look)?;
        sound(browser, &tab)?;
    }
    // Should something slip through, it has no effect.
    let text = std::fs::read_to_string(&page.file)?;
    let slipped = text.replace(
        "<main>",
        "<main onclick=\"window.broken=4\"><script>window.broken=5</script><style>main{display:none}</style>",
    );
    std::fs::write(&page.file, slipped)?;
    let tab = browser.open(&page.file, WIDE, true)?;
    browser.value(&tab, "document.querySelector('main').click()")?;
    ensure!(browser.value(&tab, "window.broken")?.is_null(), "the policy lets it run");
    let shown = browser.value(&tab, "document.querySelector('main').checkVisibility()")?;
    ensure!(shown == json!(true), "the policy lets it hide the page");
    ensure!(
        !browser.complaints(&tab)?.is_empty(),
        "nobody told of it, so nobody would have before"
    );
    Ok(())
}

/// Writes so many pods of as many workloads, in as many namespaces as go with them.
fn pods(folder: &Path, number: usize) -> Result<()> {
    let all: Vec<Value> = (0..number)
        .map(|at| {
            json!({ "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": format!("app-{at}"), "namespace": format!("team-{}", at % 20) },
            "spec": { "containers": [
                { "name": "main", "image": format!("registry.example/app-{at}:1"),
                  "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } } },
                { "name": "side", "image": "registry.example/side:1" },
            ]}})
        })
        .collect();
    for (at, items) in all.chunks(500).enumerate() {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        std::fs::write(folder.join(format!("pods-{at}.json")), list.to_string())?;
    }
    Ok(())
}

fn many(browser: &mut Browser) -> Result<()> {
    let folder = tempfile::tempdir()?;
    pods(folder.path(), 10_000)?;
    let page = page(folder.path())?;
    let tab = browser.open(&page.file, WIDE, true)?;
    ensure!(browser.value(&tab, SHOWN)? == json!([]), "it is not folded");
    let rows = "document.querySelectorAll('details.group tbody > tr').length";
    ensure!(browser.value(&tab, rows)? == json!(1000), "not a thousand rows");
    let left = "document.querySelector('.more').textContent";
    let left = browser.value(&tab, left)?;
    ensure!(left.as_str().is_some_and(|it| it.starts_with("450 more workloads")), "{left}");
    let high = browser.value(&tab, "document.documentElement.scrollHeight")?;
    ensure!(high.as_u64() < Some(6000), "{high} pixels");
    filter(browser, &tab, "app-1002")?;
    let shown = browser.value(&tab, SHOWN)?;
    ensure!(shown == json!(["app-1002"]), "{shown}");
    for look in [WIDE, NARROW] {
        browser.look(&tab, look)?;
        is_empty(browser, &tab, CUT, look)?;
    }
    sound(browser, &tab)
}

fn accessible(browser: &mut Browser) -> Result<()> {
    let page = page(&fixture())?;
    for look in [WIDE, NARROW] {
        let tab = browser.open(&page.file, look, true)?;
        let lacks = "[
            ...[...document.querySelectorAll('svg:not([aria-hidden])')].filter((it) => !(it.getAttribute('role') === 'img' && it.querySelector('title')?.textContent)),
            ...[...document.querySelectorAll('table')].filter((it) => !it.caption?.textContent || it.getAttribute('role') !== 'table'),
            ...[...document.querySelectorAll('tbody > tr')].filter((it) => it.children[0].tagName !== 'TH' || it.children.length !== it.closest('table').querySelectorAll('thead th').length),
            ...[...document.querySelectorAll('input')].filter((it) => !it.labels.length),
            ...[...document.querySelectorAll('button')].filter((it) => !it.textContent.trim() || !it.hasAttribute('aria-pressed')),
            ...[...document.querySelectorAll('[aria-labelledby]')].filter((it) => !document.getElementById(it.getAttribute('aria-labelledby'))),
        ].map((it) => it.outerHTML.slice(0, 200))";
        is_empty(browser, &tab, lacks, look)?;
        let levels = "[...document.querySelectorAll('h1,h2,h3,h4')].map((it) => +it.tagName[1]).every((level, at, all) => at ? level - all[at - 1] <= 1 : level === 1)";
        ensure!(browser.value(&tab, levels)? == json!(true), "headings leave out a level");
        let language = browser.value(&tab, "document.documentElement.lang")?;
        ensure!(language == "en", "{language}");
    }
    Ok(())
}
