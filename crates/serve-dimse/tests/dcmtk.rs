//! dcmtk against the door.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::path::Path;
use support::*;

/// Runs a program of dcmtk in a folder, and gives what it said.
async fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("TCP_NODELAY", "1")
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} of dcmtk must be installed: {error}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{said}",
        output.status
    );
    said
}

/// A Part 10 file of an instance.
fn write_file(folder: &Path, instance: &Instance) -> String {
    let meta = gantry_dicom::part10::write_meta(&gantry_dicom::part10::NewFileMeta {
        sop_class: instance.sop_class,
        sop_instance: &instance.instance_uid(),
        transfer_syntax: EXPLICIT,
        ..Default::default()
    });
    let file = folder.join(format!("{}.dcm", instance.instance_uid()));
    std::fs::write(&file, [&meta[..], &instance.encoded(EXPLICIT)].concat()).unwrap();
    file.to_str().unwrap().to_owned()
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_study_goes_in_is_found_and_comes_out_three_ways() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let sent: Vec<Instance> = (1..=3).map(|instance| ct(7, 1, instance)).collect();
    let mut arguments = vec![
        "-xe".to_owned(),
        "-aec".into(),
        "GANTRY".into(),
        "127.0.0.1".into(),
    ];
    arguments.push(server.address.port().to_string());
    arguments.extend(
        sent.iter()
            .map(|instance| write_file(folder.path(), instance)),
    );
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(folder.path(), "storescu", &arguments).await;
    run(folder.path(), "dcmsend", &arguments[3..]).await;

    let port = server.address.port().to_string();
    let said = run(
        folder.path(),
        "findscu",
        &[
            "-v",
            "-S",
            "-k",
            "QueryRetrieveLevel=STUDY",
            "-k",
            "PatientID=P7",
            "-k",
            "NumberOfStudyRelatedInstances",
            "127.0.0.1",
            &port,
        ],
    )
    .await;
    assert!(said.contains("(0020,1208) IS [3"), "{said}");
    run(folder.path(), "echoscu", &["127.0.0.1", &port]).await;

    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let move_port = unused.local_addr().unwrap().port();
    drop(unused);
    server
        .archive
        .peers()
        .replace(vec![peer("MOVESCU", move_port)]);
    let move_port = move_port.to_string();
    for (program, mut arguments) in [
        ("getscu", vec!["-S", "+B"]),
        (
            "movescu",
            vec!["-S", "+B", "-aem", "MOVESCU", "+P", &move_port],
        ),
    ] {
        let target = folder.path().join(program);
        std::fs::create_dir(&target).unwrap();
        let target_text = target.to_str().unwrap().to_owned();
        arguments.extend(["-v", "-od", &target_text, "-k", "QueryRetrieveLevel=STUDY"]);
        arguments.extend(["-k", "StudyInstanceUID=1.2.826.7", "127.0.0.1", &port]);
        let said = run(&target, program, &arguments).await;
        let stored = files(&target);
        assert_eq!(stored.len(), 3, "{program}: {said}");
        for instance in &sent {
            let data_set = instance.encoded(EXPLICIT);
            assert!(
                stored.iter().any(|file| file.ends_with(&data_set)),
                "{program}: {said}"
            );
        }
    }
}
