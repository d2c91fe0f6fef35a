import { testFaults } from "../support/faults.ts";

testFaults("attach");
testFaults("detach");
