use super::*;

fn uid(text: &str) -> Uid {
    Uid::parse(text).unwrap()
}

fn requests() -> Vec<Request> {
    let sop_instance_uid = uid("1.2.3.4.5");
    let priority = Priority::High;
    let originator = Some(MoveOriginator {
        ae_title: AeTitle::parse("ASKER").unwrap(),
        message_id: 9,
    });
    [
        Arguments::CEcho,
        Arguments::CStore {
            sop_instance_uid: uid("1.2"),
            priority,
            originator,
        },
        Arguments::CStore {
            sop_instance_uid: uid("1.2"),
            priority: Priority::Low,
            originator: None,
        },
        Arguments::CFind { priority },
        Arguments::CGet { priority },
        Arguments::CMove {
            priority,
            destination: "DEST".into(),
        },
        Arguments::NEventReport {
            sop_instance_uid: sop_instance_uid.clone(),
            event_type_id: 2,
        },
        Arguments::NGet {
            sop_instance_uid: sop_instance_uid.clone(),
            attributes: vec![Tag(0x0010, 0x0010), Tag(0x0008, 0x0018)],
        },
        Arguments::NSet {
            sop_instance_uid: sop_instance_uid.clone(),
        },
        Arguments::NAction {
            sop_instance_uid: sop_instance_uid.clone(),
            action_type_id: 1,
        },
        Arguments::NCreate {
            sop_instance_uid: None,
        },
        Arguments::NDelete { sop_instance_uid },
    ]
    .into_iter()
    .map(|arguments| Request {
        message_id: 77,
        sop_class_uid: uid("1.2.840.10008.1.1"),
        arguments,
    })
    .collect()
}

fn encoded(set: CommandSet) -> CommandSet {
    CommandSet::decode(set.encode().into()).unwrap()
}

#[test]
fn every_request_survives_a_round_trip() {
    for request in requests() {
        let set = encoded(request.to_command_set());
        assert_eq!(Command::parse(&set), Ok(Command::Request(request)));
    }
}

#[test]
fn every_response_survives_a_round_trip() {
    for request in requests() {
        let response = request
            .response(Status::PROCESSING_FAILURE)
            .with_comment("disk full")
            .with_offending([Tag(0x0008, 0x0018)])
            .with_sub_operations(SubOperations {
                remaining: Some(1),
                completed: 2,
                failed: 3,
                warning: 4,
            });
        let set = encoded(response.to_command_set());
        assert_eq!(
            set.command_field(),
            request.operation().request_field() | 0x8000
        );
        assert_eq!(Command::parse(&set), Ok(Command::Response(response)));
    }
}

#[test]
fn a_cancel_names_the_request_it_cancels() {
    let set = encoded(c_cancel(12));
    assert_eq!(set.command_field(), 0x0FFF);
    assert_eq!(
        Command::parse(&set),
        Ok(Command::CCancel { message_id: 12 })
    );
}

#[test]
fn what_is_wrong_with_a_request_is_answered() {
    let check = |spoil: fn(&mut CommandSet), expected: Option<Status>| {
        let mut set = requests()[1].to_command_set();
        spoil(&mut set);
        let error = Command::parse(&encoded(set)).unwrap_err();
        let response = error.response();
        assert_eq!(
            response.as_ref().map(|response| response.status),
            expected,
            "{error}"
        );
        assert!(response.is_none_or(|response| response.message_id == 77));
    };
    let instance = element::AFFECTED_SOP_INSTANCE_UID;
    check(
        |set| set.put_string(element::AFFECTED_SOP_INSTANCE_UID, "not a uid"),
        Some(Status::INVALID_SOP_INSTANCE),
    );
    assert_eq!(instance, 0x1000);
    check(
        |set| set.put_string(element::AFFECTED_SOP_INSTANCE_UID, ""),
        Some(Status::MISSING_ATTRIBUTE),
    );
    check(
        |set| set.put_string(element::AFFECTED_SOP_CLASS_UID, "1.2\\3"),
        Some(Status::INVALID_ATTRIBUTE_VALUE),
    );
    check(
        |set| set.put_u16(element::COMMAND_FIELD, 0x0777),
        Some(Status::UNRECOGNIZED_OPERATION),
    );
    check(|set| set.put_string(element::MESSAGE_ID, ""), None);
}

#[test]
fn comments_fit_their_value_representation() {
    let response = requests()[0].response(Status::CANNOT_UNDERSTAND);
    let comment = |text: &str| response.clone().with_comment(text).error_comment;
    assert_eq!(comment(&"x".repeat(100)), Some("x".repeat(64)));
    assert_eq!(comment("a\\b\né"), Some("a?b??".into()));
    assert_eq!(comment(""), None);
}
