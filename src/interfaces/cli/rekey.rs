//! `haldir rekey`.

use serde_json::json;

use super::{
    CommandError, GlobalOptions, backup,
    local::{require, runtime},
    progress::{Progress, Unit},
};
use crate::{
    config::{KeySource, bad_setting, key_file, secret_variable, settle_next, write_next},
    crypto::Key,
    error::{Code, Error},
    jobs::store_copy,
};

const VARIABLE: &str = "HALDIR_NEW_ENCRYPTION_KEY";

pub fn run(global: &GlobalOptions) -> Result<(), CommandError> {
    let path = global.store.path()?;
    require(&path)?;
    let Some((source, old)) = global.store.find_key()? else {
        return Err(Error::new(Code::Unavailable, "there is no encryption key that could be replaced").into());
    };
    let given = secret_variable(VARIABLE).map(|text| Key::parse(&text)).transpose();
    let new = match given.map_err(|error| bad_setting(VARIABLE, &error.to_string()))? {
        Some(key) => key,
        None if matches!(source, KeySource::Variable) => {
            let problem =
                "is needed: the old key comes from HALDIR_ENCRYPTION_KEY, and a new one has to be kept by you";
            return Err(bad_setting(VARIABLE, problem).into());
        }
        None => Key::generate().map_err(Error::internal)?,
    };
    if *new.to_base64() == *old.to_base64() {
        return Err(bad_setting(VARIABLE, "is the key that the store has already").into());
    }
    store_copy::require_alone(&path)?;
    let in_file = matches!(source, KeySource::File(_));
    if in_file {
        // Durable before the store needs it. The next process that opens the store finishes what is left undone here.
        write_next(&path, &new)?;
    }
    let progress = Progress::new(global, "wrapping data keys", Unit::Unknown);
    let haldir = backup::open(global, &path, &old)?;
    let wrapped = runtime()?.block_on(haldir.rekey(&new));
    haldir.close();
    drop(haldir);
    if in_file {
        settle_next(&path, store_copy::is_own_key(&path, &new)?)?;
    }
    let wrapped = wrapped?;
    drop(progress);
    let text = if in_file {
        format!("{} holds the new key; {wrapped} data keys are wrapped under it", key_file(&path).display())
    } else {
        format!("{wrapped} data keys are wrapped under the new key: set HALDIR_ENCRYPTION_KEY to it")
    };
    global.report(&json!({"rekeyed": true, "data_keys": wrapped}), &text)
}
