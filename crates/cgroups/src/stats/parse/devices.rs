//! `rdma`, `misc` and `hugetlb`: tables by name.

use crate::stats::list::{List, Named};
use crate::stats::scan::{Malformed, Parsed, limit_of, lines, number, pair, split, words};
use crate::stats::types::{HugePages, MiscResource, RdmaDevice};

/// `rdma.current`: `mlx4_0 hca_handle=2 hca_object=2000`.
pub(in crate::stats) fn rdma_current(text: &[u8], rdma: &mut List<RdmaDevice>) -> Parsed {
    each_rdma(text, rdma, |device, key, value| {
        match key {
            b"hca_handle" => device.handles = Some(number(value)?),
            b"hca_object" => device.objects = Some(number(value)?),
            _ => {}
        }
        Ok(())
    })
}

/// `rdma.max`: the same with `max` for no limit.
pub(in crate::stats) fn rdma_max(text: &[u8], rdma: &mut List<RdmaDevice>) -> Parsed {
    each_rdma(text, rdma, |device, key, value| {
        match key {
            b"hca_handle" => device.handle_limit = Some(limit_of(value)?),
            b"hca_object" => device.object_limit = Some(limit_of(value)?),
            _ => {}
        }
        Ok(())
    })
}

fn each_rdma(
    text: &[u8],
    rdma: &mut List<RdmaDevice>,
    put: fn(&mut RdmaDevice, &[u8], &[u8]) -> Parsed,
) -> Parsed {
    for line in lines(text) {
        let mut words = words(line);
        let device = RdmaDevice::of(rdma, words.next().unwrap_or_default())?;
        for word in words {
            let (key, value) = split(word, b'=').ok_or_else(|| Malformed::new("`key=value`", word))?;
            put(device, key, value)?;
        }
    }
    Ok(())
}

/// `misc.current` and `misc.peak`: `res_a 3`.
pub(in crate::stats) fn misc(
    text: &[u8],
    misc: &mut List<MiscResource>,
    field: fn(&mut MiscResource) -> &mut Option<u64>,
) -> Parsed {
    for line in lines(text) {
        let (name, value) = pair(line)?;
        *field(MiscResource::of(misc, name)?) = Some(value);
    }
    Ok(())
}

/// `misc.max`: `res_a max`.
pub(in crate::stats) fn misc_max(text: &[u8], misc: &mut List<MiscResource>) -> Parsed {
    for line in lines(text) {
        let mut words = words(line);
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            return Err(Malformed::new("`name limit`", line));
        };
        MiscResource::of(misc, name)?.limit = Some(limit_of(value)?);
    }
    Ok(())
}

/// `misc.events`: `res_a.max 3`.
pub(in crate::stats) fn misc_events(text: &[u8], misc: &mut List<MiscResource>) -> Parsed {
    for line in lines(text) {
        let (key, value) = pair(line)?;
        if let Some(name) = key.strip_suffix(b".max") {
            MiscResource::of(misc, name)?.refused = Some(value);
        }
    }
    Ok(())
}

/// The element of a page size.
pub(in crate::stats) fn pages<'a>(
    size: &str,
    hugetlb: &'a mut List<HugePages>,
) -> Result<&'a mut HugePages, Malformed> {
    HugePages::of(hugetlb, size.as_bytes())
}
