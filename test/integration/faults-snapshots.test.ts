import { testFaults } from "../support/faults.ts";

testFaults("snapshot");
testFaults("restore");
