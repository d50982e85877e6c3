//! Renews the certificate in a folder again and again until it is killed: what the tests kill.

use std::{error::Error, path::PathBuf};

use certs::{Lifetimes, Source, open};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("a folder is needed")?);
    for number in 0_u64.. {
        // A name that the leaf lacks is a reason to renew it.
        let name = format!("name{}-{number}", std::process::id()).parse()?;
        drop(open(Source::Folder(folder.clone()), [name], Lifetimes::default()).await);
        if number % 8 == 7 {
            // Or else the list of names grows and grows.
            std::fs::remove_file(folder.join("tls.crt"))?;
        }
    }
    Ok(())
}
