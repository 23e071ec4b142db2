//! For any response of a receiver, the parsed message is bounded by the response's length, and what
//! was parsed is parsed again from its plain encoding.
#![no_main]

use barograph_encode::otlp::{ExportResponse, RpcStatus};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(response) = ExportResponse::from_protobuf(bytes) {
        // A byte that is not UTF-8 becomes a replacement character of three bytes.
        assert!(response.message.len() <= 3 * bytes.len());
        assert_eq!(
            ExportResponse::from_protobuf(&written(&response)),
            Ok(response)
        );
    }
    if let Ok(status) = RpcStatus::from_protobuf(bytes) {
        assert!(status.message.len() <= 3 * bytes.len());
    }
});

fn written(response: &ExportResponse) -> Vec<u8> {
    let mut partial = vec![1 << 3];
    varint(response.rejected.cast_unsigned(), &mut partial);
    field(2, response.message.as_bytes(), &mut partial);
    let mut message = Vec::new();
    field(1, &partial, &mut message);
    message
}

fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
