// SPDX-FileCopyrightText: The certlink authors
// SPDX-License-Identifier: Apache-2.0

package redact

import "strings"

// standard are the names of properties that STIX 2.1 defines for some object (sections 3.2, 4, 5
// and 6), but for those that every object must have. That an object had one of these tells a reader
// what to ask for. Any other name is the author's own, and may itself tell what must not leave, such
// as a system, a case or a source: it is counted, and not told.
var standard = namesOf(`
	abstract account_created account_expires account_first_login account_last_login account_login account_type address_family
	administrative_area agent_version aliases analysis_definition_version analysis_ended analysis_engine_version
	analysis_started architecture_execution_envs arguments atime attribute_groups authors bcc_refs body body_multipart capabilities
	cc_refs child_refs city command_line configuration_version confidence contact_information contains_refs content content_disposition
	content_ref content_type context count country cpe created_by_ref creator_user_ref credential credential_last_changed ctime cwd
	date decryption_key defanged definition definition_type delivery_mechanisms description display_name dst_byte_count dst_packets
	dst_payload_ref dst_port dst_ref encapsulated_by_ref encapsulates_refs encryption_algorithm end environment_variables explanation
	extensions external_references first_observed first_seen from_ref goals granular_markings hashes header host_vm_ref identity_class
	image_ref implementation_languages indicator_types infrastructure_types installed_software_refs ipfix is_active is_disabled is_family
	is_hidden is_multipart is_privileged is_self_signed is_service_account issuer key kill_chain_phases labels lang languages
	last_observed last_seen latitude line location magic_number_hex malware_types message_id mime_type modified_time modules mtime name
	name_enc number number_observed object_marking_refs object_modified object_ref object_refs objective objects observed_data_refs
	opened_connection_refs operating_system_ref operating_system_refs opinion parent_directory_ref parent_ref path path_enc pattern
	pattern_type pattern_version payload_bin personal_motivations pid platforms postal_code precision primary_motivation product
	protocols published raw_email_ref received_lines region relationship_type report_types resolves_to_refs resource_level result
	result_name revoked rir roles sample_ref sample_refs secondary_motivations sectors sender_ref serial_number service_dll_refs
	sighting_of_ref signature_algorithm size sophistication source_ref src_byte_count src_packets src_payload_ref src_port src_ref
	start start_time start_type stop_time street_address subject subject_public_key_algorithm subject_public_key_exponent
	subject_public_key_modulus submitted summary swid target_ref threat_actor_types to_refs tool_types tool_version url user_id
	valid_from valid_until value values vendor version where_sighted_refs x509_v3_extensions longitude can_escalate_privs`)

func namesOf(list string) map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(list) {
		names[name] = true
	}
	return names
}

// tell parts names into those that may be told, and the number of the others.
func tell(lost []string) (told []string, others int) {
	told = []string{}
	for _, name := range lost {
		if standard[name] {
			told = append(told, name)
		} else {
			others++
		}
	}
	return told, others
}
